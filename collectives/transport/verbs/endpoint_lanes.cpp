// Lanes of a verbs endpoint: how they come, how they die, how they are fenced and come back.
#include <algorithm>

#include "collectives/transport/verbs/endpoint.hpp"

namespace weft::live::verbs {

namespace {

constexpr auto kProbation = std::chrono::milliseconds(1000);  // to answer a call
constexpr auto kFlush = std::chrono::milliseconds(1000);      // of a failed queue pair
constexpr auto kTellAgain = std::chrono::milliseconds(200);
constexpr auto kBusy = std::chrono::milliseconds(50);

}  // namespace

void VerbsEndpoint::dial(Peer& peer, std::uint32_t index, Clock::time_point deadline) {
    LaneState& lane = peer.state[index];
    if (lane.dialling || lane.cut || !introducer_) return;
    lane.dialling = introducer_->dial(peer.rank, index, lane.seen_epoch, deadline);
    lane.next = Clock::now() + kBusy;
}

/// A queue pair that has been made, here or by the peer, takes the place of what there was.
void VerbsEndpoint::adopt(Introducer::Result result) {
    const Link::Place place = result.place;
    const auto known = know(place.peer);
    Peer* peer = known ? known.value() : nullptr;
    LaneState* lane = peer != nullptr ? &peer->state[place.lane] : nullptr;
    // A refused call says nothing of the other's, which has the same epoch when the two cross.
    if (lane != nullptr && (result.link || !result.dialled))
        lane->seen_epoch = std::max(lane->seen_epoch, place.epoch);
    if (lane != nullptr && result.dialled) {
        lane->dialling = false;
        // The two ends do not call at the same time for ever.
        lane->next =
            Clock::now() + (rank_ < place.peer ? options_.redial : options_.redial * 3 / 2);
    }
    if (!result.why.empty() && peer != nullptr) peer->last_error = result.why;
    if (!result.link) return;
    Link& link = *result.link;
    links_[link.id()] = &link;
    const bool usable = lane != nullptr && result.why.empty() && !lane->cut &&
                        place.epoch > lane->dead_epoch &&
                        (!lane->link || lane->link->place().epoch < place.epoch);
    if (usable) {
        if (lane->link) fail_link(*lane->link, "the peer has made another");
        lane->link = std::move(result.link);
        lane->proven = false;
        peer->left = false;
        link.out.push_back({.header = {.kind = Kind::kCredits}, .payload = {}, .targets = {}});
        mark(link);
    } else {
        scrap_.push_back(std::move(result.link));
        ++fencing_;
        fail_link(link, "not used");
    }
    if (const auto waiting = orphans_.extract(link.id()); !waiting.empty())
        for (const ibv_wc& wc : waiting.mapped()) on_completion(wc);
}

/// Something has got through: a connection between the hosts need not take the path that the
/// devices take.
void VerbsEndpoint::prove(const Link& link) {
    const Link::Place& place = link.place();
    Peer* peer = peers_[place.peer].get();
    LaneState* lane = peer != nullptr ? &peer->state[place.lane] : nullptr;
    if (lane == nullptr || lane->link.get() != &link || lane->proven) return;
    lane->proven = true;
    for (const auto& old : peer->fencing)
        if (old->drained()) old->when = {};  // to be spoken of at once
    if (!peer->connected || lane->known_up) return;
    lane->known_up = true;
    completions_.push_back({.kind = Completion::Kind::kLaneUp,
                            .peer = place.peer,
                            .lane = place.lane,
                            .key = {},
                            .data = {}});
}

/// The lane is dead: nothing of it leaves or lands from here on, at this end.
void VerbsEndpoint::fail_link(Link& link, const std::string& why) {
    if (link.state() == Link::State::kFailed) return;
    link.fail(why);
    link.when = Clock::now();
    const Link::Place place = link.place();
    if (Peer* peer = peers_[place.peer].get(); peer != nullptr) {
        LaneState& lane = peer->state[place.lane];
        if (lane.link.get() == &link) {
            peer->last_error = why;
            peer->fencing.push_back(std::move(lane.link));
            ++fencing_;
            ++lanes_down_;
            // Soon, unless it never carried anything.
            lane.next = Clock::now() + (lane.proven ? options_.redial / 4 : options_.redial);
            lane.proven = false;
            if (lane.known_up)
                completions_.push_back({.kind = Completion::Kind::kLaneDown,
                                        .peer = place.peer,
                                        .lane = place.lane,
                                        .key = {},
                                        .data = {}});
            lane.known_up = false;
        }
    }
    if (link.drained()) on_drained(link);
}

/// Every request of a failed queue pair has come back.
void VerbsEndpoint::on_drained(Link& link) {
    if (link.told) return;
    link.told = true;
    link.when = Clock::now();
    for (auto& [id, op] : ledger_.all())
        for (auto& [key, receive] : op.receives)
            if (receive.granted == link.id()) receive.granted = 0;
    const auto unused =
        std::find_if(scrap_.begin(), scrap_.end(), [&](const auto& l) { return l.get() == &link; });
    if (unused != scrap_.end()) {
        --fencing_;
        links_.erase(link.id());
        graveyard_.push_back(std::move(*unused));
        scrap_.erase(unused);
        return;
    }
    tell_fenced(*peers_[link.place().peer], link.place(), !link.peer_fenced);
    if (link.peer_fenced) conclude(link);
}

/// Fenced at both ends: what was on it is lost, and can be sent again.
void VerbsEndpoint::conclude(Link& link) {
    Peer& peer = *peers_[link.place().peer];
    std::vector<std::uint64_t> lost;
    for (const auto& [serial, send] : sends_)
        if (send.link == link.id()) lost.push_back(serial);
    std::sort(lost.begin(), lost.end());
    for (const std::uint64_t serial : lost) {
        const Send& send = sends_.at(serial);
        completions_.push_back({.kind = Completion::Kind::kSendLost,
                                .peer = send.peer,
                                .lane = send.lane,
                                .key = send.key,
                                .data = {}});
        if (Operation* op = ledger_.find(send.key.context, send.key.operation); op != nullptr)
            op->lost_to.insert(peer.rank);
        drop_send(serial);
    }
    LaneState& lane = peer.state[link.place().lane];
    lane.dead_epoch = std::max(lane.dead_epoch, link.place().epoch);
    const auto at = std::find_if(peer.fencing.begin(), peer.fencing.end(),
                                 [&](const auto& l) { return l.get() == &link; });
    WEFT_CHECK(at != peer.fencing.end(), "a lane is given up twice");
    links_.erase(link.id());
    graveyard_.push_back(std::move(*at));
    peer.fencing.erase(at);
    --fencing_;
}

/// By whatever lane there is; if there is none, when one comes.
void VerbsEndpoint::tell_fenced(Peer& peer, const Link::Place& place, bool asks) {
    Link* best = nullptr;
    for (const LaneState& lane : peer.state)
        if (lane.proven && (best == nullptr || lane.link->out.size() < best->out.size()))
            best = lane.link.get();
    if (best == nullptr) return;
    best->out.push_front(
        {.header = {.kind = Kind::kFenced, .asks = asks, .epoch = place.epoch, .lane = place.lane},
         .payload = {},
         .targets = {}});
    mark(*best);
}

void VerbsEndpoint::on_fenced(Link& by, const Header& header) {
    if (!inbox_.empty()) take_inbox();  // the lane may have come without having been looked at
    Peer& peer = *peers_[by.place().peer];
    if (header.lane >= peer.state.size()) {
        fail_link(by, "a lane that there is not");
        return;
    }
    const Link::Place place{.peer = peer.rank, .lane = header.lane, .epoch = header.epoch};
    LaneState& lane = peer.state[header.lane];
    lane.dead_epoch = std::max(lane.dead_epoch, header.epoch);
    if (lane.link && lane.link->place().epoch <= header.epoch) {
        Link& link = *lane.link;
        link.peer_fenced = true;
        fail_link(link, "the peer has given it up");
        return;  // the answer goes when it is drained
    }
    bool answered = false;
    std::vector<Link*> ready;
    for (const auto& old : peer.fencing) {
        if (old->place().lane != header.lane || old->place().epoch > header.epoch) continue;
        old->peer_fenced = true;
        if (old->told)
            ready.push_back(old.get());
        else
            answered = true;  // when it is drained
    }
    for (Link* link : ready) conclude(*link);
    if (header.asks && !answered) tell_fenced(peer, place, false);
}

void VerbsEndpoint::on_bye(Link& link) {
    peers_[link.place().peer]->left = true;
    link.peer_fenced = true;
    fail_link(link, "the peer has left");
}

void VerbsEndpoint::on_async(Device& device) {
    while (const auto event = api_->take_async(device.context())) {
        const bool of_port =
            event->type == IBV_EVENT_PORT_ERR || event->type == IBV_EVENT_DEVICE_FATAL;
        std::vector<Link*> dead;
        for (const auto& peer : peers_) {
            if (!peer) continue;
            for (LaneState& lane : peer->state) {
                if (event->type == IBV_EVENT_PORT_ACTIVE) lane.next = Clock::now();
                if (!lane.link || &lane.link->device() != &device) continue;
                if (of_port || (event->qp != nullptr && event->qp == lane.link->queue_pair()))
                    dead.push_back(lane.link.get());
            }
        }
        for (Link* link : dead)
            fail_link(*link, of_port ? "the port is down" : "the device reports an error");
    }
}

/// Fences these links and waits until they are drained.
void VerbsEndpoint::fence_now(const std::vector<std::uint32_t>& ids) {
    for (const std::uint32_t id : ids)
        if (Link* link = link_of(id); link != nullptr)
            fail_link(*link, "an operation was given up");
    const auto draining = [&] {
        return std::any_of(ids.begin(), ids.end(), [&](std::uint32_t id) {
            const Link* link = link_of(id);
            return link != nullptr && !link->drained();
        });
    };
    for (const auto until = Clock::now() + kFlush * 3 / 4; draining() && Clock::now() < until;)
        progress();
    for (const std::uint32_t id : ids)
        if (Link* link = link_of(id); link != nullptr && !link->drained()) {
            link->drop_queue_pair();
            on_drained(*link);
        }
}

void VerbsEndpoint::tick(Clock::time_point now) {
    lanes_down_ = 0;
    std::vector<Link*> unused;
    for (const auto& link : scrap_)
        if (now - link->when >= kFlush) unused.push_back(link.get());
    for (Link* link : unused) {
        link->drop_queue_pair();
        on_drained(*link);
    }
    for (const auto& peer : peers_) {
        if (!peer) continue;
        tick_fencing(*peer, now);
        if (!peer->connected || peer->left) continue;
        for (std::uint32_t l = 0; l < peer->state.size(); ++l) {
            LaneState& lane = peer->state[l];
            if (lane.link) continue;
            ++lanes_down_;
            if (now >= lane.next) dial(*peer, l, now + kProbation);
        }
        check_reachable(*peer, now);
    }
}

void VerbsEndpoint::tick_fencing(Peer& peer, Clock::time_point now) {
    std::vector<Link*> all;
    for (const auto& link : peer.fencing) all.push_back(link.get());
    for (Link* link : all) {
        if (!link->drained() && now - link->when >= kFlush) {
            link->drop_queue_pair();
            on_drained(*link);
        } else if (link->told && now - link->when >= kTellAgain) {
            link->when = now;
            tell_fenced(peer, link->place(), true);
        }
    }
}

void VerbsEndpoint::check_reachable(Peer& peer, Clock::time_point now) {
    const bool up = std::any_of(peer.state.begin(), peer.state.end(),
                                [](const LaneState& l) { return l.proven; });
    if (up) {
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

bool VerbsEndpoint::cut_lane(std::uint32_t rank, std::uint32_t index) {
    if (rank >= ranks_ || !peers_[rank] || index >= peers_[rank]->state.size()) return false;
    LaneState& lane = peers_[rank]->state[index];
    lane.cut = true;
    if (lane.link) fail_link(*lane.link, "cut for a test");
    return true;
}

bool VerbsEndpoint::mend_lane(std::uint32_t rank, std::uint32_t index) {
    if (rank >= ranks_ || !peers_[rank] || index >= peers_[rank]->state.size()) return false;
    LaneState& lane = peers_[rank]->state[index];
    lane.cut = false;
    lane.next = Clock::now();
    return true;
}

}  // namespace weft::live::verbs
