// Operations and messages of a verbs endpoint: what is posted, what comes, how they meet.
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "collectives/transport/verbs/endpoint.hpp"

namespace weft::live::verbs {

namespace {

// What a peer holds of messages that nobody there has asked for: each counts with its overhead.
constexpr std::uint64_t kEarlyCost = 256;
constexpr std::uint64_t kEagerCredit = 512 * 1024;
// Honest peers stay below; operations that were cancelled at one end only may add up.
constexpr std::uint64_t kMostEarly = 16 * kEagerCredit;
constexpr std::uint32_t kMostEarlyOffers = 65536;
// Messages of one communicator on one lane; and bytes of all that are under way on it.
constexpr std::uint32_t kMostPosted = 128;
constexpr std::uint64_t kMostMoving = 16 << 20;
constexpr std::size_t kMostSources = 32;  // pieces of a message that are sent without copying
constexpr std::uint64_t kLongestWrite = 1 << 30;

MessageKey key_of(const Header& h) {
    return {.operation = h.head.operation,
            .context = h.head.context,
            .stream = h.stream,
            .sequence = h.sequence};
}

Header header_of(Kind kind, const Send& send) {
    return {.kind = kind,
            .head = send.head,
            .stream = send.key.stream,
            .sequence = send.key.sequence,
            .serial = send.serial,
            .size = send.size};
}

void gather(Segments from, std::byte* to) {
    for (const Segment& s : from) {
        if (s.size > 0) std::memcpy(to, s.data, s.size);
        to += s.size;
    }
}

void scatter(const std::byte* from, Segments to) {
    for (const Segment& s : to) {
        if (s.size > 0) std::memcpy(s.data, from, s.size);
        from += s.size;
    }
}

}  // namespace

void VerbsEndpoint::check_registered(Segments segments) const {
    for (const Segment& s : segments)
        WEFT_CHECK(s.size == 0 || memory_->contains(s.region, s.data, s.size),
                   "{} bytes lie outside of region {}", s.size, s.region);
}

void VerbsEndpoint::begin(const OperationHead& head) {
    start();
    for (const Ledger::Id& id : ledger_.skipped(head.context, head.operation))
        forget(id.first, id.second);
    const bool rises = ledger_.begin(head);
    WEFT_CHECK(rises, "operation {} of communicator {} begins out of order", head.operation,
               head.context);
    Operation& op = *ledger_.find(head.context, head.operation);
    for (const auto& [key, receive] : op.receives)
        if (receive.wanted) --peers_[key.peer]->early_offers;
    for (const auto& [peer, theirs] : op.theirs) {
        if (same_head(faults_, op, peer, theirs)) continue;
        // Nothing that came early from a peer that disagrees is ever consumed.
        for (auto it = op.receives.begin(); it != op.receives.end();) {
            if (it->first.peer == peer) give_back(peer, it->second);
            it = it->first.peer == peer ? op.receives.erase(it) : std::next(it);
        }
    }
    op.theirs.clear();
}

void VerbsEndpoint::end(ContextId context, std::uint64_t operation) {
    forget(context, operation);
}

void VerbsEndpoint::cancel(ContextId context, std::uint64_t operation) {
    quiesce(context, operation);
    forget(context, operation);
    std::erase_if(completions_, [&](const Completion& c) {
        return c.kind != Completion::Kind::kLaneDown && c.kind != Completion::Kind::kLaneUp &&
               c.key.context == context && c.key.operation == operation;
    });
}

/// No device reads or writes memory of the operation when this returns.
void VerbsEndpoint::quiesce(ContextId context, std::uint64_t operation) {
    const auto ours = [&](const MessageKey& key) {
        return key.context == context && key.operation == operation;
    };
    const auto reading = [&] {
        std::vector<std::uint32_t> busy;
        for (const auto& [serial, send] : sends_) {
            const Link* link = ours(send.key) && send.wrote ? link_of(send.link) : nullptr;
            if (link != nullptr && !link->request_done(send.request)) busy.push_back(send.link);
        }
        return busy;
    };
    constexpr auto kPatience = std::chrono::milliseconds(100);
    for (const auto until = Clock::now() + kPatience; !reading().empty() && Clock::now() < until;)
        progress();
    std::vector<std::uint32_t> busy = reading();
    if (const Operation* op = ledger_.find(context, operation); op != nullptr)
        for (const auto& [key, receive] : op->receives)
            if (receive.granted != 0 && !receive.complete) busy.push_back(receive.granted);
    std::sort(busy.begin(), busy.end());
    busy.erase(std::unique(busy.begin(), busy.end()), busy.end());
    fence_now(busy);
}

void VerbsEndpoint::forget(ContextId context, std::uint64_t operation) {
    std::vector<std::uint64_t> mine;
    for (const auto& [serial, send] : sends_)
        if (send.key.context == context && send.key.operation == operation) mine.push_back(serial);
    for (const std::uint64_t serial : mine) drop_send(serial);
    Operation* op = ledger_.find(context, operation);
    if (op == nullptr) return;
    for (auto& [key, receive] : op->receives) {
        if (!op->begun && receive.wanted) --peers_[key.peer]->early_offers;
        if (!receive.consumed && (receive.complete || receive.wanted))
            acknowledge(receive.link, receive.serial);
        give_back(key.peer, receive);
    }
    ledger_.erase(context, operation);
}

void VerbsEndpoint::give_back(std::uint32_t peer, Receive& receive) {
    if (receive.held) peers_[peer]->early -= receive.size + kEarlyCost;
    receive.held = false;
    receive.early.clear();
    memory_->give(receive.bounce);
}

Operation& VerbsEndpoint::begun(const MessageKey& key) {
    Operation* op = ledger_.find(key.context, key.operation);
    WEFT_CHECK(op != nullptr && op->begun, "operation {} of communicator {} has not begun",
               key.operation, key.context);
    return *op;
}

bool VerbsEndpoint::post_send(std::uint32_t rank, std::uint32_t index, const MessageKey& key,
                              Segments data) {
    check_registered(data);
    WEFT_CHECK(rank < ranks_ && peers_[rank] && index < peers_[rank]->state.size(),
               "rank {} has no lane {} to {}", rank_, index, rank);
    Peer& peer = *peers_[rank];
    LaneState& lane = peer.state[index];
    if (!lane.proven || lane.moving >= kMostMoving) return false;
    auto count = std::find_if(lane.posted.begin(), lane.posted.end(),
                              [&](const auto& p) { return p.first == key.context; });
    if (count == lane.posted.end()) count = lane.posted.insert(count, {key.context, 0});
    if (count->second >= kMostPosted) return false;
    ++count->second;
    const std::uint64_t serial = ++serial_;
    Send& send = sends_[serial];
    send = {.serial = serial,
            .peer = rank,
            .lane = index,
            .link = lane.link->id(),
            .key = key,
            .head = begun(key).head,
            .data = data,
            .size = total_size(data),
            .bounce = {}};
    lane.moving += send.size;
    const std::uint64_t cost = send.size + kEarlyCost;
    if (send.size <= kMostPayload && peer.eager_used + cost <= kEagerCredit) {
        peer.eager_used += cost;
        send.eager = true;
    }
    lane.link->out.push_back({.header = header_of(send.eager ? Kind::kEager : Kind::kOffer, send),
                              .payload = {},
                              .targets = {}});
    mark(*lane.link);
    return true;
}

/// Forgets a send wherever it is; its memory is not read any more.
void VerbsEndpoint::drop_send(std::uint64_t serial) {
    const auto found = sends_.find(serial);
    if (found == sends_.end()) return;
    Send& send = found->second;
    Peer& peer = *peers_[send.peer];
    LaneState& lane = peer.state[send.lane];
    for (auto& [context, count] : lane.posted)
        if (context == send.key.context) --count;
    std::erase_if(lane.posted, [](const auto& p) { return p.second == 0; });
    lane.moving -= send.size;
    if (send.eager) peer.eager_used -= send.size + kEarlyCost;
    memory_->give(send.bounce);
    sends_.erase(found);
}

/// Lets one message leave; false: not now.
bool VerbsEndpoint::leave(Link& link, Link::Out& out) {
    const bool of_send = out.header.kind == Kind::kEager || out.header.kind == Kind::kOffer ||
                         out.header.kind == Kind::kWritten;
    Send* send = nullptr;
    if (of_send) {
        const auto found = sends_.find(out.header.serial);
        if (found == sends_.end()) return true;  // cancelled meanwhile
        send = &found->second;
    }
    if (out.header.kind == Kind::kWritten) {
        bool waits = false;
        if (!write_out(link, *send, out, waits)) return !waits;
    } else if (!link.room(0, false)) {
        return false;
    }
    if (out.header.kind == Kind::kEager) {
        gather(send->data, link.payload().data());
        out.header.length = static_cast<std::uint16_t>(send->size);
    } else if (!out.payload.empty()) {
        std::copy(out.payload.begin(), out.payload.end(), link.payload().begin());
        out.header.length = static_cast<std::uint16_t>(out.payload.size());
    }
    if (!link.send(out.header)) {
        fail_link(link, "the queue pair takes nothing");
        return false;
    }
    if (out.header.kind == Kind::kWritten) {
        send->wrote = true;
        send->request = link.last_request();
    }
    return true;
}

/// Where the bytes are read from, as the device knows it; false: it cannot be registered.
bool VerbsEndpoint::source_of(std::size_t device, Send& send, std::vector<ibv_sge>& out) {
    Segments data = send.data;
    Segment copy;
    if (data.size() > kMostSources && send.bounce.data == nullptr) {
        send.bounce = memory_->take(send.size);
        gather(data, send.bounce.data);
    }
    if (send.bounce.data != nullptr) {
        copy = {.region = send.bounce.region, .data = send.bounce.data, .size = send.size};
        data = {&copy, 1};
    }
    for (const Segment& s : data) {
        if (s.size == 0) continue;
        const ibv_mr* known = memory_->known_to(device, s.region);
        if (known == nullptr) return false;
        for (std::size_t at = 0; at < s.size; at += kLongestWrite)
            out.push_back(
                {.addr = reinterpret_cast<std::uint64_t>(s.data + at),
                 .length = static_cast<std::uint32_t>(std::min(s.size - at, kLongestWrite)),
                 .lkey = known->lkey});
    }
    return true;
}

/// Posts the writes of a granted message. False: `waits`, or the message cannot go at all.
bool VerbsEndpoint::write_out(Link& link, Send& send, const Link::Out& out, bool& waits) {
    struct Write {
        std::size_t first = 0, count = 0;
        std::uint64_t address = 0;
        std::uint32_t key = 0;
    };
    std::vector<ibv_sge> whole;
    if (!source_of(device_of(link), send, whole)) {
        if (Operation* op = ledger_.find(send.key.context, send.key.operation); op != nullptr)
            raise(faults_, *op,
                  {.kind = Fault::Kind::kUnreachable, .peer = send.peer, .what = memory_->error()});
        return false;
    }
    std::vector<ibv_sge> pieces;  // cut where the targets are
    std::vector<Write> writes;
    std::size_t from = 0;
    for (const Target& target : out.targets) {
        std::uint64_t done = 0;
        while (done < target.size) {
            Write w{.first = pieces.size(), .address = target.address + done, .key = target.key};
            while (done < target.size && w.count < link.device().most_pieces()) {
                ibv_sge piece = whole[from];
                piece.length = static_cast<std::uint32_t>(
                    std::min<std::uint64_t>(piece.length, target.size - done));
                whole[from].addr += piece.length;
                whole[from].length -= piece.length;
                if (whole[from].length == 0) ++from;
                done += piece.length;
                ++w.count;
                pieces.push_back(piece);
            }
            writes.push_back(w);
        }
    }
    if (!link.room(writes.size(), false)) {
        waits = true;
        return false;
    }
    send.wrote = true;
    for (const Write& w : writes) {
        const bool taken =
            link.write(std::span(pieces).subspan(w.first, w.count), w.address, w.key);
        send.request = link.last_request();
        if (taken) continue;
        waits = true;
        fail_link(link, "the queue pair takes nothing");
        return false;
    }
    return true;
}

Receive& VerbsEndpoint::post(std::uint32_t peer, const MessageKey& key, std::uint64_t size) {
    WEFT_CHECK(peer < ranks_ && peers_[peer], "rank {} is not connected to {}", rank_, peer);
    Operation& op = begun(key);
    const auto [at, fresh] = op.receives.try_emplace({peer, key.stream, key.sequence});
    Receive& receive = at->second;
    WEFT_CHECK(!receive.posted, "message {} of stream {} is asked for twice", key.sequence,
               key.stream);
    receive.posted = true;
    if (fresh) receive.size = size;
    if (receive.size != size)
        raise(faults_, op,
              {.kind = Fault::Kind::kWrongSize,
               .peer = peer,
               .what = fmt::format("{} bytes came where {} are expected", receive.size, size)});
    return receive;
}

void VerbsEndpoint::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    check_registered(to);
    const std::uint64_t size = total_size(to);
    Receive& receive = post(peer, key, size);
    receive.to = to;
    if (receive.size == size) posted(peer, key, receive);
}

void VerbsEndpoint::post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) {
    Receive& receive = post(peer, key, size);
    receive.view = true;
    if (receive.size == size) posted(peer, key, receive);
}

void VerbsEndpoint::posted(std::uint32_t rank, const MessageKey& key, Receive& receive) {
    if (receive.complete)
        arrived(rank, key, receive);
    else if (receive.wanted)
        grant(*peers_[rank], {rank, key.stream, key.sequence}, begun(key), receive);
}

/// What is known of the message that a header speaks of, this attempt being noted; nullptr: there
/// is nothing more to do about it.
Receive* VerbsEndpoint::meet(Link& link, const Header& header) {
    const std::uint32_t peer = link.place().peer;
    if (ledger_.ended(header.head.context, header.head.operation)) {
        acknowledge(link.id(), header.serial);
        return nullptr;
    }
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    if (!same_head(faults_, op, peer, header.head)) return nullptr;
    const auto [at, fresh] = op.receives.try_emplace({peer, header.stream, header.sequence});
    Receive& receive = at->second;
    if (header.serial < receive.serial) return nullptr;  // of an attempt that was given up
    if (fresh) receive.size = header.size;
    if (header.size != receive.size) {
        raise(faults_, op,
              {.kind = Fault::Kind::kWrongSize,
               .peer = peer,
               .what =
                   fmt::format("{} bytes came where {} are expected", header.size, receive.size)});
        return nullptr;
    }
    receive.serial = header.serial;
    receive.link = link.id();
    receive.lane = link.place().lane;
    if (receive.consumed) acknowledge(link.id(), header.serial);
    return receive.complete ? nullptr : &receive;
}

void VerbsEndpoint::on_eager(Link& link, const Header& header, std::span<const std::byte> payload) {
    Receive* receive = meet(link, header);
    if (receive == nullptr) return;
    Peer& peer = *peers_[link.place().peer];
    receive->complete = true;
    if (receive->posted && !receive->view) {
        scatter(payload.data(), receive->to);
    } else {
        const std::uint64_t cost = receive->size + kEarlyCost;
        if (!receive->posted && peer.early + cost > kMostEarly) {
            receive->complete = false;
            fail_link(link, "more came than may come unasked");
            return;
        }
        peer.early += cost;
        receive->held = true;
        receive->early.assign(payload.begin(), payload.end());
    }
    if (receive->posted) arrived(peer.rank, key_of(header), *receive);
}

void VerbsEndpoint::on_offer(Link& link, const Header& header) {
    Receive* receive = meet(link, header);
    if (receive == nullptr) return;
    Peer& peer = *peers_[link.place().peer];
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    if (!op.begun && !receive->wanted && ++peer.early_offers > kMostEarlyOffers) {
        --peer.early_offers;
        fail_link(link, "too many offers of operations to come");
        return;
    }
    receive->wanted = true;
    if (receive->posted) grant(peer, {peer.rank, header.stream, header.sequence}, op, *receive);
}

/// Where the message goes; false: what it needs cannot be registered.
bool VerbsEndpoint::targets_of(Link& link, Receive& receive, std::vector<std::byte>& out) {
    const std::size_t device = device_of(link);
    const auto add = [&](const Segment& s) {
        const ibv_mr* known = s.size > 0 ? memory_->known_to(device, s.region) : nullptr;
        for (std::size_t at = 0; known != nullptr && at < s.size; at += kLongestWrite)
            append_target({.address = reinterpret_cast<std::uint64_t>(s.data + at),
                           .key = known->rkey,
                           .size = static_cast<std::uint32_t>(
                               std::min<std::uint64_t>(s.size - at, kLongestWrite))},
                          out);
        return s.size == 0 || known != nullptr;
    };
    const bool in_place = !receive.view && receive.to.size() <= kMostTargets / 2;
    if (in_place && receive.bounce.data == nullptr)
        return std::all_of(receive.to.begin(), receive.to.end(), add);
    if (receive.bounce.data == nullptr) receive.bounce = memory_->take(receive.size);
    return add(
        {.region = receive.bounce.region, .data = receive.bounce.data, .size = receive.size});
}

void VerbsEndpoint::grant(Peer& peer, const PeerKey& key, Operation& op, Receive& receive) {
    Link* link = link_of(receive.link);
    if (link == nullptr || link->state() != Link::State::kReady) return;  // offered again
    if (op.faulted) return;
    Link::Out out{.header = {.kind = Kind::kGrant}, .payload = {}, .targets = {}};
    if (!targets_of(*link, receive, out.payload)) {
        raise(faults_, op,
              {.kind = Fault::Kind::kUnreachable, .peer = peer.rank, .what = memory_->error()});
        return;
    }
    out.header.head = op.head;
    out.header.stream = key.stream;
    out.header.sequence = key.sequence;
    out.header.serial = receive.serial;
    out.header.size = receive.size;
    receive.wanted = false;
    receive.granted = link->id();
    link->out.push_back(std::move(out));
    mark(*link);
}

void VerbsEndpoint::on_grant(Link& link, const Header& header, std::span<const std::byte> payload) {
    const auto found = sends_.find(header.serial);
    if (found == sends_.end() || link.state() != Link::State::kReady) return;
    const Send& send = found->second;
    auto targets = parse_targets(payload, header.size);
    if (send.link != link.id() || send.eager || send.wrote || header.size != send.size ||
        !targets) {
        fail_link(link, "a grant of what was not offered");
        return;
    }
    link.out.push_back(
        {.header = header_of(Kind::kWritten, send), .payload = {}, .targets = std::move(*targets)});
    mark(link);
}

void VerbsEndpoint::on_written(Link& link, const Header& header) {
    Operation* op = ledger_.find(header.head.context, header.head.operation);
    if (op == nullptr) {
        acknowledge(link.id(), header.serial);
        return;
    }
    const auto found = op->receives.find({link.place().peer, header.stream, header.sequence});
    if (found == op->receives.end() || found->second.serial != header.serial) return;
    Receive& receive = found->second;
    if (receive.granted != link.id() || receive.complete) return;
    receive.granted = 0;
    receive.complete = true;
    arrived(link.place().peer, key_of(header), receive);
}

/// A complete message meets its receive.
void VerbsEndpoint::arrived(std::uint32_t peer, const MessageKey& key, Receive& receive) {
    Completion done{.kind = Completion::Kind::kReceived,
                    .peer = peer,
                    .lane = receive.lane,
                    .key = key,
                    .data = receive.to};
    const std::byte* held =
        receive.bounce.data != nullptr ? receive.bounce.data : receive.early.data();
    if (receive.view) {
        receive.shown = {
            .region = receive.bounce.data != nullptr ? receive.bounce.region : ~std::uint32_t{0},
            .data = const_cast<std::byte*>(held),
            .size = receive.size};
        done.data = {&receive.shown, 1};
    } else {
        if (receive.bounce.data != nullptr || receive.held) scatter(held, receive.to);
        consume(peer, receive);
    }
    completions_.push_back(done);
}

void VerbsEndpoint::consume(std::uint32_t peer, Receive& receive) {
    receive.consumed = true;
    give_back(peer, receive);
    acknowledge(receive.link, receive.serial);
}

void VerbsEndpoint::release(const Completion& received) {
    Operation* op = ledger_.find(received.key.context, received.key.operation);
    if (op == nullptr) return;  // cancelled
    const auto found =
        op->receives.find({received.peer, received.key.stream, received.key.sequence});
    if (found == op->receives.end() || found->second.consumed) return;
    consume(received.peer, found->second);
}

void VerbsEndpoint::acknowledge(std::uint32_t id, std::uint64_t serial) {
    Link* link = link_of(id);
    if (link == nullptr || link->state() != Link::State::kReady) return;  // it is sent again
    link->acks.push_back(serial);
    mark(*link);
}

void VerbsEndpoint::on_acks(Link& link, std::span<const std::byte> payload) {
    const auto serials = parse_acks(payload);
    if (!serials) {
        fail_link(link, "acknowledgements that are none");
        return;
    }
    for (const std::uint64_t serial : *serials) {
        const auto found = sends_.find(serial);
        if (found == sends_.end()) continue;  // cancelled meanwhile
        const Send& send = found->second;
        if (send.link != link.id()) {
            fail_link(link, "an acknowledgement of what was not sent here");
            return;
        }
        completions_.push_back({.kind = Completion::Kind::kSent,
                                .peer = send.peer,
                                .lane = send.lane,
                                .key = send.key,
                                .data = {}});
        drop_send(serial);
    }
}

}  // namespace weft::live::verbs
