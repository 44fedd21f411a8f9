// Lanes of a tcp endpoint: how they come, how they die, how they come back.
#include <algorithm>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <tuple>
#include <unistd.h>

#include "collectives/transport/tcp/endpoint.hpp"

namespace weft::live::tcp {

namespace {

// A lane that has been dialled again has so long to answer its first probe.
constexpr auto kProbation = std::chrono::milliseconds(1000);
constexpr auto kFirstCall = std::chrono::milliseconds(250);
constexpr std::uint32_t kManyFailures = 20;   // in a row; from then on dialled less often
constexpr std::size_t kProbesWaiting = 4096;  // bytes of frames that the socket does not take
constexpr std::uint32_t kPatientTicks = 256;  // then a silent peer is probed every second
constexpr std::uint32_t kRareProbe = 100;

std::uint64_t since_epoch(Clock::time_point t) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count());
}

void watch_wire(int epoll, Wire& wire) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | static_cast<std::uint32_t>(EPOLLET);
    event.data.ptr = &wire;
    (void)::epoll_ctl(epoll, EPOLL_CTL_ADD, wire.fd(), &event);
}

/// Closing alone does not end the watch while another process holds the descriptor (fork).
void unwatch(int epoll, const Wire& wire) {
    (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, wire.fd(), nullptr);
}

}  // namespace

void TcpEndpoint::dial(Peer& peer, std::uint32_t index, Clock::time_point deadline) {
    OutLane& lane = peer.out[index];
    lane.state = OutLane::State::kDialling;
    ++lane.epoch;
    dialler_->dial({.peer = peer.rank,
                    .lane = index,
                    .epoch = lane.epoch,
                    .local_port = peer.lanes[index].local_port,
                    .remote_port = peer.lanes[index].remote_port,
                    .deadline = deadline});
}

std::unique_ptr<Wire> TcpEndpoint::make_wire(int fd, const Wire::Place& place) {
    const int on = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto wire = std::make_unique<Wire>(fd, place, ++wire_ids_);
    if (!peers_[place.peer]->cut[place.lane]) watch_wire(epoll_, *wire);
    return wire;
}

void TcpEndpoint::adopt_dialled(const Dialler::Job& job, Outcome<Connection> connection) {
    Peer& peer = *peers_[job.peer];
    OutLane& lane = peer.out[job.lane];
    if (lane.state != OutLane::State::kDialling || lane.epoch != job.epoch) {
        if (connection) ::close(connection.value().fd);
        return;
    }
    const auto now = Clock::now();
    if (!connection) {
        peer.last_error = connection.error().what;
        ++lane.failures;
        lane.state = OutLane::State::kDown;
        lane.next = now + options_.redial * (lane.failures > kManyFailures ? 5 : 1);
        return;
    }
    lane.window = SendWindow();
    lane.wire = make_wire(connection.value().fd,
                          {.peer = job.peer, .lane = job.lane, .epoch = job.epoch, .sends = true});
    probe(*lane.wire);
    // A first connection is proof enough; a lane that has been dead must carry bytes both ways.
    lane.state = peer.connected ? OutLane::State::kProbing : OutLane::State::kUp;
    lane.next = now + kProbation;
}

void TcpEndpoint::adopt_accepted(const Connection& connection) {
    const auto index = static_cast<std::uint32_t>(connection.tag >> 32);
    const auto epoch = static_cast<std::uint32_t>(connection.tag);
    const bool named = connection.peer < ranks_ && connection.peer != rank_;
    const auto known = named ? know(connection.peer) : Outcome<Peer*>(LiveError{});
    if (!known || index >= known.value()->in.size()) {
        ::close(connection.fd);
        return;
    }
    Peer& peer = *known.value();
    if (const auto& old = peer.in[index]; old != nullptr) {
        if (old->place().epoch >= epoch) {
            ::close(connection.fd);
            return;
        }
        lose_receiving(peer, index, false);
    }
    peer.in[index] = make_wire(connection.fd,
                               {.peer = peer.rank, .lane = index, .epoch = epoch, .sends = false});
    peer.left = false;
    if (!peer.to_grant.empty()) granting_.push_back(&peer);  // what could not be said before
}

void TcpEndpoint::lose(Wire& wire, bool tell) {
    const Wire::Place place = wire.place();
    Peer& peer = *peers_[place.peer];
    if (place.sends && peer.out[place.lane].wire.get() == &wire)
        lose_sending(peer, place.lane, tell);
    else if (!place.sends && peer.in[place.lane].get() == &wire)
        lose_receiving(peer, place.lane, tell);
}

void TcpEndpoint::lose_sending(Peer& peer, std::uint32_t index, bool tell) {
    OutLane& lane = peer.out[index];
    if (!lane.wire) return;
    const Wire::Place place = lane.wire->place();
    if (!lane.wire->why().empty()) peer.last_error = lane.wire->why();
    unwatch(epoll_, *lane.wire);
    lane.wire->close(true);  // the fence: nothing of it leaves any more
    graveyard_.push_back(std::move(lane.wire));
    if (lane.state == OutLane::State::kUp)
        completions_.push_back({.kind = Completion::Kind::kLaneDown,
                                .peer = peer.rank,
                                .lane = index,
                                .key = {},
                                .data = {}});
    lane.state = OutLane::State::kDown;
    lane.next = Clock::now() + options_.redial / 4;
    ++lanes_down_;
    for (Send* send : std::vector<Send*>(lane.unacked)) {
        completions_.push_back({.kind = Completion::Kind::kSendLost,
                                .peer = peer.rank,
                                .lane = index,
                                .key = send->key,
                                .data = {}});
        if (Operation* op = ledger_.find(send->key.context, send->key.operation); op != nullptr)
            op->lost_to.insert(peer.rank);
        drop_send(*send);
    }
    if (tell) tell_down(peer, place);
}

void TcpEndpoint::lose_receiving(Peer& peer, std::uint32_t index, bool tell) {
    if (!peer.in[index]) return;
    const Wire::Place place = peer.in[index]->place();
    unwatch(epoll_, *peer.in[index]);
    peer.in[index]->close(true);
    graveyard_.push_back(std::move(peer.in[index]));
    grant_again(peer);  // what was granted on it may not have got through
    if (tell) tell_down(peer, place);
}

/// Tells the other end by another lane, so that it need not find out for itself.
void TcpEndpoint::tell_down(Peer& peer, const Wire::Place& place) {
    Wire* best = nullptr;
    const auto consider = [&](Wire* wire) {
        if (wire == nullptr || wire->place().lane == place.lane || peer.cut[wire->place().lane])
            return;
        if (best == nullptr || wire->pulse.ticks < best->pulse.ticks) best = wire;
    };
    for (const OutLane& lane : peer.out) consider(lane.wire.get());
    for (const auto& wire : peer.in) consider(wire.get());
    if (best == nullptr) return;
    best->stage({.kind = FrameKind::kDown,
                 .flags = static_cast<std::uint8_t>(place.sends ? kOfSender : 0),
                 .serial = lane_tag(place.lane, place.epoch)});
    mark(*best);
}

void TcpEndpoint::grant_again(Peer& peer) {
    peer.to_grant.clear();
    for (const auto& [id, op] : ledger_.all())
        for (const auto& [key, receive] : op.receives)
            if (key.peer == peer.rank && receive.posted && !receive.complete &&
                (receive.size > options_.eager || receive.wanted))
                due_grant(peer, id, key, receive.size);
    std::sort(peer.to_grant.begin(), peer.to_grant.end(), [](const auto& a, const auto& b) {
        return std::tie(a.operation, a.entry.stream, a.entry.sequence) <
               std::tie(b.operation, b.entry.stream, b.entry.sequence);
    });
}

bool TcpEndpoint::on_down(Wire& wire, const FrameHeader& header) {
    Peer& peer = *peers_[wire.place().peer];
    const auto index = static_cast<std::uint32_t>(header.serial >> 32);
    const auto epoch = static_cast<std::uint32_t>(header.serial);
    if (index >= peer.out.size()) {
        wire.broken("a lane that there is not");
        return false;
    }
    if ((header.flags & kOfSender) != 0) {
        if (peer.in[index] && peer.in[index]->place().epoch == epoch)
            lose_receiving(peer, index, false);
    } else if (peer.out[index].wire && peer.out[index].wire->place().epoch == epoch) {
        lose_sending(peer, index, false);
    }
    return true;
}

void TcpEndpoint::on_bye(Wire& wire) {
    peers_[wire.place().peer]->left = true;
    lose(wire, false);
}

void TcpEndpoint::probe(Wire& wire) {
    if (wire.staged() > kProbesWaiting) return;
    wire.stage({.kind = FrameKind::kProbe, .offset = since_epoch(Clock::now())});
    wire.pulse.asked = true;
    mark(wire);
}

void TcpEndpoint::on_reply(Wire& wire, const FrameHeader& header) {
    const std::uint64_t now = since_epoch(Clock::now());
    const Wire::Place& place = wire.place();
    Peer& peer = *peers_[place.peer];
    if (header.offset > now) return;
    const std::chrono::nanoseconds rtt(std::min<std::uint64_t>(now - header.offset, 1'000'000'000));
    if (peer.judge.empty_ticks() == 0) wire.pulse.answered(rtt);
    if (!place.sends) return;
    OutLane& lane = peer.out[place.lane];
    lane.window.round_trip(rtt);
    if (lane.state != OutLane::State::kProbing) return;
    lane.state = OutLane::State::kUp;
    lane.failures = 0;
    completions_.push_back({.kind = Completion::Kind::kLaneUp,
                            .peer = peer.rank,
                            .lane = place.lane,
                            .key = {},
                            .data = {}});
}

bool TcpEndpoint::needs_ticks() const {
    return open_ > 0 || lanes_down_ > 0;
}

void TcpEndpoint::tick(Clock::time_point now) {
    lanes_down_ = 0;
    for (const auto& peer : peers_)
        if (peer) tick_peer(*peer, now);
}

void TcpEndpoint::tick_peer(Peer& peer, Clock::time_point now) {
    std::vector<Wire*> wires;
    for (const OutLane& lane : peer.out)
        if (lane.wire) wires.push_back(lane.wire.get());
    for (const auto& wire : peer.in)
        if (wire) wires.push_back(wire.get());
    // Bytes too few to be told of are signs of life all the same.
    for (Wire* wire : wires)
        if (wire->pulse.asked && !wire->pulse.heard) read_from(*wire);
    std::erase_if(wires, [](const Wire* wire) { return wire->fd() < 0; });
    std::vector<Pulse*> pulses;
    for (Wire* wire : wires) pulses.push_back(&wire->pulse);
    peer.judge.tick(pulses);
    const bool may_probe =
        peer.judge.empty_ticks() < kPatientTicks || peer.judge.empty_ticks() % kRareProbe == 0;
    std::vector<Wire*> dead;
    for (Wire* wire : wires) {
        Pulse& pulse = wire->pulse;
        const Wire::Place& place = wire->place();
        const bool proving = place.sends && peer.out[place.lane].state == OutLane::State::kProbing;
        const bool wanted = proving || (place.sends ? peer.open_sends : peer.open_receives) > 0;
        if (!wanted) pulse = {.slowest = pulse.slowest};
        if (wanted && !pulse.heard && may_probe) probe(*wire);
        if (wanted && !proving && peer.judge.dead(pulse)) dead.push_back(wire);
        pulse.heard = false;
    }
    for (Wire* wire : dead) {
        wire->broken("silent while other lanes answer");
        lose(*wire, true);
    }
    redial(peer, now);
    check_reachable(peer, now);
}

void TcpEndpoint::redial(Peer& peer, Clock::time_point now) {
    if (!peer.connected || peer.left) return;
    for (std::uint32_t l = 0; l < peer.out.size(); ++l) {
        OutLane& lane = peer.out[l];
        if (lane.state == OutLane::State::kUp) continue;
        ++lanes_down_;
        if (now < lane.next || peer.cut[l]) continue;
        if (lane.state == OutLane::State::kProbing) {
            ++lane.failures;
            lose_sending(peer, l, false);
        } else if (lane.state == OutLane::State::kDown) {
            // A first packet that is lost is sent again by the kernel after a second only: soon
            // given up, a call finds a healed path sooner; a busy peer gets more time.
            dial(peer, l,
                 now + std::min<Clock::duration>(kFirstCall * (1 + lane.failures / 2), kProbation));
        }
    }
}

void TcpEndpoint::check_reachable(Peer& peer, Clock::time_point now) {
    const bool up = std::any_of(peer.out.begin(), peer.out.end(),
                                [](const OutLane& l) { return l.state == OutLane::State::kUp; });
    if (up || !peer.connected) {
        peer.down_since.reset();
        return;
    }
    if (!peer.down_since) peer.down_since = now;
    if (now - *peer.down_since < options_.unreachable) return;
    for (auto& [id, op] : ledger_.all()) {
        const bool waits =
            op.lost_to.count(peer.rank) > 0 ||
            std::any_of(op.receives.begin(), op.receives.end(), [&](const auto& r) {
                return r.first.peer == peer.rank && r.second.posted && !r.second.complete;
            });
        if (op.begun && waits)
            raise(faults_, op,
                  {.kind = Fault::Kind::kUnreachable,
                   .peer = peer.rank,
                   .what = "every lane is dead: " + peer.last_error});
    }
}

void TcpEndpoint::on_link_changes() {
    for (const LinkChange& change : links_.read())
        for (std::size_t port = 0; port < interfaces_.size(); ++port) {
            if (interfaces_[port] != change.interface) continue;
            for (const auto& peer : peers_) {
                if (!peer) continue;
                for (std::uint32_t l = 0; l < peer->lanes.size(); ++l) {
                    if (peer->lanes[l].local_port != static_cast<std::int32_t>(port)) continue;
                    peer->out[l].next = Clock::now();
                    if (change.carrier) continue;
                    lose_sending(*peer, l, true);
                    lose_receiving(*peer, l, true);
                }
            }
        }
}

bool TcpEndpoint::cut_lane(std::uint32_t rank, std::uint32_t lane) {
    if (rank >= ranks_ || !peers_[rank] || lane >= peers_[rank]->cut.size()) return false;
    Peer& peer = *peers_[rank];
    peer.cut[lane] = true;
    for (const Wire* wire : {peer.out[lane].wire.get(), peer.in[lane].get()})
        if (wire != nullptr) unwatch(epoll_, *wire);
    return true;
}

bool TcpEndpoint::corrupt_lane(std::uint32_t rank, std::uint32_t lane) {
    if (rank >= ranks_ || !peers_[rank] || lane >= peers_[rank]->out.size()) return false;
    peers_[rank]->out[lane].corrupt = true;
    return true;
}

bool TcpEndpoint::mend_lane(std::uint32_t rank, std::uint32_t lane) {
    if (rank >= ranks_ || !peers_[rank] || lane >= peers_[rank]->cut.size()) return false;
    Peer& peer = *peers_[rank];
    if (!peer.cut[lane]) return true;
    peer.cut[lane] = false;
    peer.out[lane].next = Clock::now();
    for (Wire* wire : {peer.out[lane].wire.get(), peer.in[lane].get()}) {
        if (wire == nullptr) continue;
        watch_wire(epoll_, *wire);
        wire->writable = true;
        mark(*wire);
    }
    return true;
}

}  // namespace weft::live::tcp
