#include "collectives/transport/tcp/endpoint.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <net/if.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collectives/transport/tcp/crc32c.hpp"

namespace weft::live::tcp {

namespace {

// What epoll reports besides wires, whose addresses are greater.
enum Source : std::uint64_t { kInbox = 1, kTimer = 2, kLinks = 3 };

constexpr std::size_t kReadBudget = 1 << 20;   // of one wire in one poll
constexpr std::size_t kWriteBudget = 4 << 20;  // of one lane in one poll
constexpr std::size_t kCopied = 2048;          // shorter payloads are copied beside their headers
constexpr std::size_t kStaged = 65536;         // small frames written together
constexpr std::uint64_t kReportEach = SendWindow::kLeast / 2;
// A lane is usable with the others missing for so long.
constexpr auto kStragglers = std::chrono::milliseconds(300);
constexpr auto kCall = std::chrono::seconds(2);  // one attempt to open a connection

bool watch(int epoll, int fd, std::uint32_t events, std::uint64_t data) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    return fd >= 0 && ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

TcpEndpoint::TcpEndpoint(NetControl& control, const TcpOptions& options)
    : control_(control),
      options_(options),
      rank_(control.rank()),
      ranks_(control.ranks()),
      inbox_(std::make_shared<Inbox>()),
      peers_(control.ranks()),
      last_tick_(Clock::now()) {
    options_.eager = std::min(options_.eager, kMostEager);
    options_.paths = std::clamp<std::uint32_t>(options_.paths, 1, kMostPaths);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    WEFT_CHECK(epoll_ >= 0 && timer_ >= 0 && inbox_->fd() >= 0, "no file descriptors left");
    watch(epoll_, inbox_->fd(), EPOLLIN, kInbox);
    watch(epoll_, timer_, EPOLLIN, kTimer);
    watch(epoll_, links_.fd(), EPOLLIN, kLinks);
    control.publish("tcp", encode_card({.paths = options_.paths, .eager = options_.eager}));
    dialler_ = std::make_unique<Dialler>(
        control, [inbox = inbox_](const Dialler::Job& job, Outcome<Connection> connection) {
            inbox->put({.job = job, .connection = std::move(connection)});
        });
    control.on_connection(Purpose::kTcpLane, [inbox = inbox_](Connection connection) {
        inbox->put({.job = std::nullopt, .connection = connection});
    });
}

TcpEndpoint::~TcpEndpoint() {
    control_.on_connection(Purpose::kTcpLane, {});
    inbox_->close();
    dialler_.reset();
    flush();  // the last acknowledgements
    const auto farewell = [](Wire* wire) {
        if (wire == nullptr) return;
        wire->stage({.kind = FrameKind::kBye});
        (void)wire->write();
    };
    for (const auto& peer : peers_) {
        if (!peer) continue;
        for (const OutLane& lane : peer->out) farewell(lane.wire.get());
        for (const auto& wire : peer->in) farewell(wire.get());
    }
    peers_.clear();
    ::close(timer_);
    ::close(epoll_);
}

Outcome<TcpEndpoint::Peer*> TcpEndpoint::know(std::uint32_t rank) {
    if (peers_[rank]) return peers_[rank].get();
    const auto failed = [&](std::string what) {
        return LiveError{.what = std::move(what),
                         .rank = static_cast<int>(rank_),
                         .peer = static_cast<int>(rank)};
    };
    const auto card = parse_card(control_.card(rank, "tcp"));
    if (!card) return failed("cannot connect: the peer shows no tcp card of this version");
    auto peer = std::make_unique<Peer>(options_.silence);
    peer->rank = rank;
    peer->card = *card;
    peer->lanes = derive_lanes(rank_, control_.ports(rank_), rank, control_.ports(rank),
                               std::min(card->paths, options_.paths));
    if (peer->lanes.empty()) return failed("cannot connect: no pair of ports can reach each other");
    peer->out.resize(peer->lanes.size());
    peer->in.resize(peer->lanes.size());
    peer->cut.resize(peer->lanes.size());
    if (interfaces_.empty())
        for (const Port& port : control_.ports(rank_))
            interfaces_.push_back(static_cast<int>(::if_nametoindex(port.interface.c_str())));
    peers_[rank] = std::move(peer);
    return peers_[rank].get();
}

bool TcpEndpoint::settled(const Peer& peer, Clock::time_point give_up) const {
    const auto in = [&](OutLane::State s) {
        return std::count_if(peer.out.begin(), peer.out.end(),
                             [&](const OutLane& l) { return l.state == s; });
    };
    if (in(OutLane::State::kUp) == 0) return false;
    return in(OutLane::State::kDialling) == 0 || Clock::now() >= give_up;
}

Status TcpEndpoint::connect(std::uint32_t rank, Clock::time_point deadline) {
    WEFT_CHECK(rank < ranks_ && rank != rank_, "rank {} connects to {}", rank_, rank);
    const auto known = know(rank);
    if (!known) return known.error();
    Peer& peer = *known.value();
    if (peer.connected) return Done{};
    const Clock::time_point began = Clock::now();
    auto next_try = began;
    while (!settled(peer, began + kStragglers)) {
        const auto now = Clock::now();
        if (now >= next_try) {
            next_try = now + std::chrono::milliseconds(50);
            for (std::uint32_t l = 0; l < peer.out.size(); ++l)
                if (peer.out[l].state == OutLane::State::kNew ||
                    peer.out[l].state == OutLane::State::kDown)
                    dial(peer, l, std::min(deadline, now + kCall));
        }
        if (now >= deadline || peer.left)
            return LiveError{
                .what = fmt::format("cannot connect: rank {} answers on none of {} lanes ({})",
                                    rank, peer.lanes.size(),
                                    peer.last_error.empty() ? "no answer" : peer.last_error),
                .rank = static_cast<int>(rank_),
                .peer = static_cast<int>(rank),
                .elapsed_s = std::chrono::duration<double>(now - began).count()};
        const auto nap = std::min<Clock::duration>(deadline - now, std::chrono::milliseconds(20));
        pollfd ready{.fd = inbox_->fd(), .events = POLLIN, .revents = 0};
        (void)::poll(&ready, 1,
                     static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(nap).count()));
        inbox_->silence();
        take_inbox();
    }
    peer.connected = true;
    for (std::uint32_t l = 0; l < peer.out.size(); ++l) {
        const OutLane& lane = peer.out[l];
        if (lane.state == OutLane::State::kUp) continue;
        ++lanes_down_;  // not there yet: it comes with kLaneUp
        completions_.push_back(
            {.kind = Completion::Kind::kLaneDown, .peer = rank, .lane = l, .key = {}, .data = {}});
    }
    return Done{};
}

std::span<const Lane> TcpEndpoint::lanes(std::uint32_t peer) const {
    WEFT_CHECK(peer < ranks_ && peers_[peer], "rank {} is not connected to {}", rank_, peer);
    return peers_[peer]->lanes;
}

std::size_t TcpEndpoint::poll(std::span<Completion> out) {
    if (completions_.size() < out.size()) progress();
    const std::size_t n = std::min(out.size(), completions_.size());
    const auto end = completions_.begin() + static_cast<std::ptrdiff_t>(n);
    std::move(completions_.begin(), end, out.begin());
    completions_.erase(completions_.begin(), end);
    return n;
}

void TcpEndpoint::progress() {
    if (!inbox_->empty()) take_inbox();
    for (Wire* wire : std::exchange(readable_, {}))
        if (wire->readable) read_from(*wire);
    bool rung = false;
    std::array<epoll_event, 64> events;
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < n; ++i) {
        const epoll_event& e = events[static_cast<std::size_t>(i)];
        std::uint64_t count = 0;
        if (e.data.u64 == kInbox) {
            inbox_->silence();
            take_inbox();
        } else if (e.data.u64 == kTimer) {
            rung = ::read(timer_, &count, sizeof count) > 0;
        } else if (e.data.u64 == kLinks) {
            on_link_changes();
        } else {
            Wire& wire = *static_cast<Wire*>(e.data.ptr);
            if ((e.events & EPOLLOUT) != 0 && !wire.writable) {
                wire.writable = true;
                mark(wire);
            }
            if ((e.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) wire.hung_up = true;
            if (wire.hung_up || (e.events & EPOLLIN) != 0) read_from(wire);
        }
    }
    tick_if_due(rung);
    flush();
    bury();
}

void TcpEndpoint::read_from(Wire& wire) {
    wire.readable = false;
    if (wire.fd() < 0) return;
    const Wire::Place place = wire.place();
    if (peers_[place.peer]->cut[place.lane]) return;
    const Wire::Flow flow = wire.read(*this, kReadBudget, wire.hung_up);
    if (wire.fd() < 0) return;  // lost meanwhile
    if (flow == Wire::Flow::kBroken) {
        lose(wire, true);
    } else if (flow == Wire::Flow::kMore) {
        wire.readable = true;
        readable_.push_back(&wire);
    }
    if (wire.fd() >= 0 && !place.sends && wire.unreported() >= kReportEach) mark(wire);
}

void TcpEndpoint::take_inbox() {
    for (Inbox::Item& item : inbox_->take()) {
        if (item.job)
            adopt_dialled(*item.job, std::move(item.connection));
        else
            adopt_accepted(item.connection.value());
    }
}

void TcpEndpoint::mark(Wire& wire) {
    if (wire.dirty) return;
    wire.dirty = true;
    dirty_.push_back(&wire);
}

void TcpEndpoint::flush() {
    for (Peer* peer : std::exchange(granting_, {})) flush_grants(*peer);
    for (Wire* wire : std::exchange(dirty_, {})) {
        wire->dirty = false;
        const Wire::Place place = wire->place();
        if (wire->fd() < 0 || !wire->writable || peers_[place.peer]->cut[place.lane]) continue;
        if (place.sends)
            flush_sends(*peers_[place.peer], peers_[place.peer]->out[place.lane]);
        else
            flush_acks(*wire);
    }
}

bool TcpEndpoint::stage_next(OutLane& lane) {
    if (lane.ready.empty()) return false;
    Send& send = *lane.ready.front();
    const std::uint64_t left = send.size - send.sent;
    const std::uint64_t room = lane.window.room();
    if (room == 0 && left > 0 && !send.header_only) return false;
    FrameHeader header{.kind = FrameKind::kMessage,
                       .head = send.head,
                       .stream = send.key.stream,
                       .sequence = send.key.sequence,
                       .serial = send.serial,
                       .size = send.size,
                       .offset = send.sent};
    if (send.header_only) {
        header.flags = kHeaderOnly;
        lane.wire->stage(header);
        lane.ready.pop_front();
        return true;
    }
    std::uint64_t piece =
        std::min({left, std::uint64_t{kLongestPayload}, std::max<std::uint64_t>(room, 65536)});
    const bool corrupt = lane.corrupt && left > 0;
    if (corrupt) piece = std::min<std::uint64_t>(piece, kCopied);
    header.length = static_cast<std::uint32_t>(piece);
    if (options_.verify) {
        header.flags = kVerified;
        SegmentCursor look = send.from;
        look.each(piece, [&](std::span<const std::byte> bytes, std::size_t) {
            header.payload_crc = crc32c(bytes, header.payload_crc);
        });
    }
    if (piece <= kCopied) {
        std::array<std::byte, kCopied> copy;
        const std::span<std::byte> payload = std::span(copy).first(piece);
        send.from.read(payload);
        if (corrupt) payload[piece / 2] ^= std::byte{1};
        lane.corrupt = lane.corrupt && !corrupt;
        lane.wire->stage(header, payload);
    } else {
        lane.wire->stage_chunk(header, send.from);
        send.from.advance(piece);
    }
    send.sent += piece;
    if (send.sent == send.size) lane.ready.pop_front();
    return true;
}

void TcpEndpoint::flush_sends(Peer& peer, OutLane& lane) {
    if (!lane.wire) return;
    for (std::size_t budget = kWriteBudget; lane.wire && budget > 0;) {
        Wire& wire = *lane.wire;
        while (!wire.busy() && wire.staged() < kStaged && stage_next(lane)) {
        }
        if (wire.staged() == 0 && !wire.busy()) return;
        const std::uint64_t before = wire.written();
        const Wire::Flow flow = wire.write();
        const std::uint64_t wrote = wire.written() - before;
        if (wrote > 0) lane.window.wrote(wrote, Clock::now());
        if (flow == Wire::Flow::kBroken) {
            lose_sending(peer, wire.place().lane, true);
            return;
        }
        if (flow == Wire::Flow::kBlocked) return;
        budget -= std::min(budget, static_cast<std::size_t>(wrote));
    }
    if (lane.wire) mark(*lane.wire);  // the rest next time
}

void TcpEndpoint::flush_acks(Wire& wire) {
    const auto pause = static_cast<std::uint64_t>(pause_.count());
    std::vector<std::byte> payload;
    for (std::size_t at = 0; at < wire.acks.size();) {
        payload.clear();
        for (std::size_t i = 0; i < kMostEntries && at < wire.acks.size(); ++i)
            append_ack(wire.acks[at++], payload);
        wire.stage({.kind = FrameKind::kAck, .size = pause}, payload);
    }
    wire.acks.clear();
    if (wire.unreported() >= kReportEach) wire.stage({.kind = FrameKind::kAck, .size = pause});
    if (wire.write() == Wire::Flow::kBroken) lose(wire, true);
}

void TcpEndpoint::flush_grants(Peer& peer) {
    if (peer.to_grant.empty()) return;
    Wire* best = nullptr;
    for (const auto& wire : peer.in) {
        if (!wire || peer.cut[wire->place().lane]) continue;
        if (best == nullptr || std::pair(wire->pulse.ticks, wire->staged()) <
                                   std::pair(best->pulse.ticks, best->staged()))
            best = wire.get();
    }
    if (best == nullptr) return;  // all is granted again when a lane comes
    std::vector<std::byte> payload;
    for (std::size_t at = 0; at < peer.to_grant.size();) {
        const Ledger::Id id = peer.to_grant[at].operation;
        payload.clear();
        for (std::size_t i = 0;
             i < kMostEntries && at < peer.to_grant.size() && peer.to_grant[at].operation == id;
             ++i)
            append_grant(peer.to_grant[at++].entry, payload);
        const Operation* op = ledger_.find(id.first, id.second);
        if (op == nullptr) continue;
        best->stage({.kind = FrameKind::kGrant, .head = op->head}, payload);
    }
    peer.to_grant.clear();
    mark(*best);
}

std::optional<Fault> TcpEndpoint::fault() {
    if (faults_.empty()) return std::nullopt;
    Fault oldest = std::move(faults_.front());
    faults_.pop_front();
    return oldest;
}

bool TcpEndpoint::arm() {
    flush();
    bury();
    set_timer();
    return completions_.empty() && faults_.empty() && readable_.empty() && dirty_.empty() &&
           inbox_->empty();
}

/// A sleeper ticks with its timer, whoever polls all the time by the clock.
void TcpEndpoint::tick_if_due(bool rung) {
    const auto now = Clock::now();
    const auto elapsed = now - last_tick_;
    if (elapsed < (rung ? kTick / 2 : kTick)) return;
    last_tick_ = now;
    if (!needs_ticks()) {
        pause_ = {};
        ticking_ = false;
        return;
    }
    // The first tick after an idle time says nothing of pauses.
    if (ticking_) pause_ = std::max(elapsed - kTick, pause_ - pause_ / 16);
    ticking_ = true;
    tick(now);
}

/// Forgets dead wires, which nothing of this poll names any more.
void TcpEndpoint::bury() {
    if (graveyard_.empty()) return;
    const auto dead = [](const Wire* wire) { return wire->fd() < 0; };
    std::erase_if(dirty_, dead);
    std::erase_if(readable_, dead);
    graveyard_.clear();
}

void TcpEndpoint::set_timer() {
    const bool wanted = needs_ticks();
    if (wanted == timer_runs_) return;
    timer_runs_ = wanted;
    itimerspec each{};
    const auto ns = std::chrono::nanoseconds(kTick).count();
    if (wanted) each.it_value.tv_nsec = each.it_interval.tv_nsec = static_cast<long>(ns);
    (void)::timerfd_settime(timer_, 0, &each, nullptr);
}

}  // namespace weft::live::tcp
