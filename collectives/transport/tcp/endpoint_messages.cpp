// Operations and messages of a tcp endpoint: what is posted, what comes, how they meet.
#include <algorithm>
#include <fmt/format.h>

#include "collectives/transport/tcp/credit.hpp"
#include "collectives/transport/tcp/endpoint.hpp"

namespace weft::live::tcp {

namespace {

// Messages of one communicator on one lane.
constexpr std::uint32_t kMostPosted = 128;
constexpr std::uint64_t kUntried = 1 << 20;

}  // namespace

void TcpEndpoint::begin(const OperationHead& head) {
    for (const Ledger::Id& id : ledger_.skipped(head.context, head.operation))
        forget(id.first, id.second);
    const bool rises = ledger_.begin(head);
    WEFT_CHECK(rises, "operation {} of communicator {} begins out of order", head.operation,
               head.context);
    Operation& op = *ledger_.find(head.context, head.operation);
    for (const auto& [peer, theirs] : op.theirs)
        if (!same_head(faults_, op, peer, theirs)) disown(op, peer);
    for (const auto& [key, size] : op.grants) --peers_[key.peer]->early_grants;
    op.theirs.clear();
}

/// Nothing that came early from a peer that disagrees is ever consumed.
void TcpEndpoint::disown(Operation& op, std::uint32_t peer) {
    for (const auto& wire : peers_[peer]->in)
        if (wire && wire->header().head.context == op.head.context &&
            wire->header().head.operation == op.head.operation)
            wire->drop();
    for (auto it = op.receives.begin(); it != op.receives.end();) {
        if (it->first.peer == peer) give_back(peer, it->second);
        it = it->first.peer == peer ? op.receives.erase(it) : std::next(it);
    }
}

void TcpEndpoint::end(ContextId context, std::uint64_t operation) {
    forget(context, operation);
    // Acknowledgements of the last messages: nobody may poll for long.
    flush();
}

void TcpEndpoint::cancel(ContextId context, std::uint64_t operation) {
    forget(context, operation);
    std::erase_if(completions_, [&](const Completion& c) {
        return c.kind != Completion::Kind::kLaneDown && c.kind != Completion::Kind::kLaneUp &&
               c.key.context == context && c.key.operation == operation;
    });
}

void TcpEndpoint::forget(ContextId context, std::uint64_t operation) {
    Operation* op = ledger_.find(context, operation);
    if (op == nullptr) return;
    std::vector<std::uint64_t> mine;
    for (const auto& [serial, send] : sends_)
        if (send.key.context == context && send.key.operation == operation) mine.push_back(serial);
    for (const std::uint64_t serial : mine) drop_send(sends_.at(serial));
    for (const auto& peer : peers_) {
        if (!peer) continue;
        for (const auto& wire : peer->in)
            if (wire && wire->header().head.context == context &&
                wire->header().head.operation == operation)
                wire->drop();
    }
    for (auto& [key, receive] : op->receives) {
        if (receive.complete && !receive.consumed)
            acknowledge(key.peer, receive.lane, receive.wire_id, receive.landing.serial);
        if (receive.posted && !receive.complete) {
            --peers_[key.peer]->open_receives;
            --open_;
        }
        give_back(key.peer, receive);
    }
    if (!op->begun)
        for (const auto& [key, size] : op->grants) --peers_[key.peer]->early_grants;
    ledger_.erase(context, operation);
}

void TcpEndpoint::give_back(std::uint32_t peer, Receive& receive) {
    if (receive.buffered) peers_[peer]->early -= receive.size + kEarlyCost;
    receive.buffered = false;
    pool_.give(std::move(receive.buffer));
    receive.buffer = {};
}

Operation& TcpEndpoint::begun(const MessageKey& key) {
    Operation* op = ledger_.find(key.context, key.operation);
    WEFT_CHECK(op != nullptr && op->begun, "operation {} of communicator {} has not begun",
               key.operation, key.context);
    return *op;
}

bool TcpEndpoint::post_send(std::uint32_t rank, std::uint32_t index, const MessageKey& key,
                            Segments data) {
    regions_.check(data);
    WEFT_CHECK(rank < ranks_ && peers_[rank] && index < peers_[rank]->out.size(),
               "rank {} has no lane {} to {}", rank_, index, rank);
    Peer& peer = *peers_[rank];
    OutLane& lane = peer.out[index];
    if (lane.state != OutLane::State::kUp) return false;
    auto share = std::find_if(lane.posted.begin(), lane.posted.end(),
                              [&](const auto& p) { return p.context == key.context; });
    if (share == lane.posted.end()) share = lane.posted.insert(share, {.context = key.context});
    // A window on its way and a little to follow: a slow lane is given no more to hold. A lane of
    // which nothing is known yet is given more, so that it can show what it can do.
    const std::uint64_t slack = lane.window.bytes_per_second() == 0 ? kUntried : 0;
    const std::uint64_t most = lane.window.limit() + lane.window.limit() / 4 + slack;
    if (share->messages >= kMostPosted || share->bytes >= most) return false;
    ++share->messages;
    share->bytes += total_size(data);
    Operation& op = begun(key);
    const std::uint64_t serial = ++serial_;
    Send& send = sends_[serial];
    send = {.serial = serial,
            .peer = rank,
            .lane = index,
            .key = key,
            .head = op.head,
            .from = SegmentCursor(data),
            .size = total_size(data)};
    lane.unacked.push_back(&send);
    ++peer.open_sends;
    ++open_;
    const std::uint64_t cost = send.size + kEarlyCost;
    if (const auto grant = op.grants.find(send.peer_key()); grant != op.grants.end()) {
        send.header_only = grant->second != send.size || op.faulted;
        make_ready(send);
    } else if (send.size <= peer.card.eager && peer.eager_used + cost <= kEagerCredit) {
        peer.eager_used += cost;
        send.eager = true;
        make_ready(send);
    } else {
        op.waiting[send.peer_key()] = serial;
        if (send.size <= peer.card.eager) {
            lane.wire->stage({.kind = FrameKind::kWant,
                              .head = send.head,
                              .stream = key.stream,
                              .sequence = key.sequence,
                              .serial = serial,
                              .size = send.size});
            mark(*lane.wire);
        }
    }
    return true;
}

void TcpEndpoint::make_ready(Send& send) {
    OutLane& lane = peers_[send.peer]->out[send.lane];
    lane.ready.push_back(&send);
    if (lane.wire) mark(*lane.wire);
}

/// Forgets a send wherever it is; its memory is not read any more.
void TcpEndpoint::drop_send(Send& send) {
    Peer& peer = *peers_[send.peer];
    OutLane& lane = peer.out[send.lane];
    if (lane.wire && lane.wire->chunk_serial() == send.serial) lane.wire->detach_chunk();
    std::erase(lane.ready, &send);
    std::erase(lane.unacked, &send);
    for (auto& share : lane.posted) {
        if (share.context != send.key.context) continue;
        --share.messages;
        share.bytes -= send.size;
    }
    std::erase_if(lane.posted, [](const auto& share) { return share.messages == 0; });
    if (send.eager) peer.eager_used -= send.size + kEarlyCost;
    if (Operation* op = ledger_.find(send.key.context, send.key.operation); op != nullptr) {
        const auto waiting = op->waiting.find(send.peer_key());
        if (waiting != op->waiting.end() && waiting->second == send.serial)
            op->waiting.erase(waiting);
    }
    --peer.open_sends;
    --open_;
    sends_.erase(send.serial);
}

Receive& TcpEndpoint::post(std::uint32_t peer, const MessageKey& key, std::uint64_t size) {
    WEFT_CHECK(peer < ranks_ && peers_[peer], "rank {} is not connected to {}", rank_, peer);
    Receive& receive = begun(key).receives[{peer, key.stream, key.sequence}];
    WEFT_CHECK(!receive.posted, "message {} of stream {} is asked for twice", key.sequence,
               key.stream);
    receive.posted = true;
    if (!receive.seen) receive.size = size;
    return receive;
}

void TcpEndpoint::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    regions_.check(to);
    const std::uint64_t size = total_size(to);
    Receive& receive = post(peer, key, size);
    receive.to = to;
    if (receive.size == size) {
        posted(peer, key, receive);
        return;
    }
    raise(faults_, begun(key), wrong_size(peer, receive.size, size));
}

void TcpEndpoint::post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) {
    Receive& receive = post(peer, key, size);
    receive.view = true;
    if (receive.size == size) {
        posted(peer, key, receive);
        return;
    }
    raise(faults_, begun(key), wrong_size(peer, receive.size, size));
}

void TcpEndpoint::posted(std::uint32_t rank, const MessageKey& key, Receive& receive) {
    if (receive.complete) {
        finish(rank, key, receive);
        return;
    }
    Peer& peer = *peers_[rank];
    ++peer.open_receives;
    ++open_;
    if (receive.size > options_.eager || receive.wanted)
        due_grant(peer, {key.context, key.operation}, {rank, key.stream, key.sequence},
                  receive.size);
}

void TcpEndpoint::due_grant(Peer& peer, const Ledger::Id& operation, const PeerKey& key,
                            std::uint64_t size) {
    if (peer.to_grant.empty()) granting_.push_back(&peer);
    peer.to_grant.push_back(
        {.operation = operation,
         .entry = {.stream = key.stream, .sequence = key.sequence, .size = size}});
}

bool TcpEndpoint::on_header(Wire& wire, const FrameHeader& header) {
    const bool from_sender = header.kind == FrameKind::kMessage || header.kind == FrameKind::kWant;
    const bool from_receiver = header.kind == FrameKind::kGrant || header.kind == FrameKind::kAck;
    const Wire::Place& place = wire.place();
    if ((place.sends && from_sender) || (!place.sends && from_receiver)) {
        wire.broken("a frame that goes the other way");
        return false;
    }
    if (place.sends) {
        OutLane& lane = peers_[place.peer]->out[place.lane];
        if (!lane.window.confirmed(header.progress, Clock::now())) {
            wire.broken("more was confirmed than was sent");
            return false;
        }
        if (!lane.ready.empty() || wire.staged() > 0) mark(wire);
    }
    return header.kind != FrameKind::kMessage || on_message(wire, header);
}

bool TcpEndpoint::on_frame(Wire& wire, const FrameHeader& header) {
    switch (header.kind) {
        case FrameKind::kMessage:
            return on_message_end(wire, header);
        case FrameKind::kWant:
            return on_want(wire, header);
        case FrameKind::kGrant:
            return on_grants(wire, header);
        case FrameKind::kAck:
            return on_acks(wire);
        case FrameKind::kProbe:
            wire.stage({.kind = FrameKind::kReply, .offset = header.offset});
            mark(wire);
            return true;
        case FrameKind::kReply:
            on_reply(wire, header);
            return true;
        case FrameKind::kDown:
            return on_down(wire, header);
        case FrameKind::kBye:
            on_bye(wire);
            return true;
    }
    return false;
}

/// Where the payload of a message goes; dropped unless land() is reached.
bool TcpEndpoint::on_message(Wire& wire, const FrameHeader& header) {
    if (ledger_.ended(header.head.context, header.head.operation)) return true;
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    const std::uint32_t peer = wire.place().peer;
    if (!same_head(faults_, op, peer, header.head)) return true;
    Receive& receive = op.receives[{peer, header.stream, header.sequence}];
    if (header.serial < receive.landing.serial) return true;  // of an attempt that was given up
    if (receive.posted && header.size != receive.size) {
        raise(faults_, op, wrong_size(peer, header.size, receive.size));
        return true;
    }
    if (receive.seen && header.size != receive.size) {
        wire.broken("one message with two sizes");
        return false;
    }
    receive.lane = wire.place().lane;
    receive.wire_id = wire.id();
    if (receive.complete) {
        receive.landing.serial = header.serial;  // the acknowledgement is for this attempt
        return true;
    }
    return (header.flags & kHeaderOnly) != 0 || land(wire, header, op, receive);
}

bool TcpEndpoint::land(Wire& wire, const FrameHeader& header, Operation& op, Receive& receive) {
    Peer& peer = *peers_[wire.place().peer];
    if (header.serial > receive.landing.serial) {
        receive.landing.serial = header.serial;
        receive.landing.received = 0;
    }
    if (header.offset != receive.landing.received) {
        wire.broken("a gap in a message");
        return false;
    }
    receive.seen = true;
    receive.size = header.size;
    if (receive.buffer.data == nullptr && (!receive.posted || receive.view)) {
        if (!receive.posted) {
            const std::uint64_t cost = header.size + kEarlyCost;
            if (header.size > options_.eager || peer.early + cost > kMostEarly) {
                raise(faults_, op,
                      {.kind = Fault::Kind::kCorrupt,
                       .peer = peer.rank,
                       .what = "a message came that was not granted"});
                wire.broken("a message that was not granted");
                return false;
            }
            peer.early += cost;
            receive.buffered = true;
        }
        receive.buffer = pool_.take(header.size);
    }
    if (header.offset == 0) {
        if (receive.buffer.data != nullptr) {
            receive.shown = {.region = ~std::uint32_t{0},
                             .data = receive.buffer.data.get(),
                             .size = header.size};
            receive.landing.to = SegmentCursor({&receive.shown, 1});
        } else {
            receive.landing.to = SegmentCursor(receive.to);
        }
    }
    wire.land(receive.landing, (header.flags & kVerified) != 0);
    return true;
}

bool TcpEndpoint::on_message_end(Wire& wire, const FrameHeader& header) {
    const bool whole =
        header.offset + header.length == header.size && (header.flags & kHeaderOnly) == 0;
    const Wire::Place& place = wire.place();
    Operation* op = ledger_.find(header.head.context, header.head.operation);
    if (op == nullptr) {
        if (whole) acknowledge(place.peer, place.lane, wire.id(), header.serial);
        return true;
    }
    const auto found = op->receives.find({place.peer, header.stream, header.sequence});
    if (found == op->receives.end()) return true;
    Receive& receive = found->second;
    if (receive.consumed && whole) acknowledge(place.peer, place.lane, wire.id(), header.serial);
    if (receive.complete || wire.landed() != &receive.landing) return true;
    if ((header.flags & kVerified) != 0 && wire.payload_crc() != header.payload_crc) {
        raise(faults_, *op,
              {.kind = Fault::Kind::kCorrupt,
               .peer = place.peer,
               .what = fmt::format("wrong CRC of bytes {} to {} of a message on lane {}",
                                   header.offset, header.offset + header.length, place.lane)});
        wire.broken("wrong CRC");
        return false;
    }
    if (receive.landing.received < receive.size) return true;
    receive.complete = true;
    if (!receive.posted) return true;
    --peers_[place.peer]->open_receives;
    --open_;
    finish(place.peer, key_of(header), receive);
    return true;
}

/// A complete message meets its receive.
void TcpEndpoint::finish(std::uint32_t peer, const MessageKey& key, Receive& receive) {
    Completion done{.kind = Completion::Kind::kReceived,
                    .peer = peer,
                    .lane = receive.lane,
                    .key = key,
                    .data = receive.to};
    if (receive.view) {
        done.data = {&receive.shown, 1};
    } else {
        if (receive.buffer.data != nullptr)
            SegmentCursor(receive.to).write({receive.buffer.data.get(), receive.size});
        receive.consumed = true;
        give_back(peer, receive);
        acknowledge(peer, receive.lane, receive.wire_id, receive.landing.serial);
    }
    completions_.push_back(done);
}

void TcpEndpoint::release(const Completion& received) {
    Operation* op = ledger_.find(received.key.context, received.key.operation);
    if (op == nullptr) return;  // cancelled
    const auto found =
        op->receives.find({received.peer, received.key.stream, received.key.sequence});
    if (found == op->receives.end() || found->second.consumed) return;
    Receive& receive = found->second;
    receive.consumed = true;
    give_back(received.peer, receive);
    acknowledge(received.peer, receive.lane, receive.wire_id, receive.landing.serial);
}

void TcpEndpoint::acknowledge(std::uint32_t peer, std::uint32_t lane, std::uint64_t wire_id,
                              std::uint64_t serial) {
    Wire* wire = peers_[peer]->in[lane].get();
    if (wire == nullptr || wire->id() != wire_id) return;  // dead: the sender sends it again
    wire->acks.push_back(serial);
    mark(*wire);
}

bool TcpEndpoint::on_want(Wire& wire, const FrameHeader& header) {
    const Wire::Place& place = wire.place();
    if (ledger_.ended(header.head.context, header.head.operation)) {
        acknowledge(place.peer, place.lane, wire.id(), header.serial);
        return true;
    }
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    if (!same_head(faults_, op, place.peer, header.head)) return true;
    Receive& receive = op.receives[{place.peer, header.stream, header.sequence}];
    if (header.serial < receive.landing.serial) return true;
    if (receive.posted && header.size != receive.size) {
        raise(faults_, op,
              {.kind = Fault::Kind::kWrongSize,
               .peer = place.peer,
               .what = fmt::format("{} bytes are offered where {} are expected", header.size,
                                   receive.size)});
        return true;
    }
    receive.landing.serial = header.serial;
    receive.lane = place.lane;
    receive.wire_id = wire.id();
    if (receive.consumed) acknowledge(place.peer, place.lane, wire.id(), header.serial);
    if (receive.complete) return true;
    receive.landing.received = 0;
    receive.wanted = true;
    if (receive.posted)
        due_grant(*peers_[place.peer], {op.head.context, op.head.operation},
                  {place.peer, header.stream, header.sequence}, receive.size);
    return true;
}

bool TcpEndpoint::on_grants(Wire& wire, const FrameHeader& header) {
    const auto entries = parse_grants(wire.control());
    if (!entries) {
        wire.broken("grants that are none");
        return false;
    }
    if (ledger_.ended(header.head.context, header.head.operation)) return true;
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    Peer& peer = *peers_[wire.place().peer];
    const bool same = same_head(faults_, op, peer.rank, header.head);
    if (!op.begun) {
        peer.early_grants += static_cast<std::uint32_t>(entries->size());
        if (peer.early_grants > kMostEarlyGrants) {
            wire.broken("too many grants of operations to come");
            return false;
        }
    }
    for (const GrantEntry& e : *entries) {
        const PeerKey key{peer.rank, e.stream, e.sequence};
        const auto [at, fresh] = op.grants.insert_or_assign(key, e.size);
        if (!op.begun && !fresh) --peer.early_grants;
        // A disagreeing peer is shown our head, so that it knows too.
        granted(op, key, same ? at->second : ~std::uint64_t{0});
    }
    return true;
}

void TcpEndpoint::granted(Operation& op, const PeerKey& key, std::uint64_t size) {
    const auto waiting = op.waiting.find(key);
    if (waiting == op.waiting.end()) return;
    Send& send = sends_.at(waiting->second);
    op.waiting.erase(waiting);
    send.header_only = send.size != size;
    make_ready(send);
}

bool TcpEndpoint::on_acks(Wire& wire) {
    const auto serials = parse_acks(wire.control());
    if (!serials) {
        wire.broken("acknowledgements that are none");
        return false;
    }
    const Wire::Place& place = wire.place();
    const std::chrono::nanoseconds theirs(
        std::min<std::uint64_t>(wire.header().size, 1'000'000'000));
    peers_[place.peer]->out[place.lane].window.pauses(theirs + pause_);
    for (const std::uint64_t serial : *serials) {
        const auto found = sends_.find(serial);
        if (found == sends_.end()) continue;  // cancelled meanwhile
        Send& send = found->second;
        if (send.peer != place.peer || send.lane != place.lane) {
            wire.broken("an acknowledgement of what was not sent here");
            return false;
        }
        completions_.push_back({.kind = Completion::Kind::kSent,
                                .peer = place.peer,
                                .lane = place.lane,
                                .key = send.key,
                                .data = {}});
        drop_send(send);
    }
    return true;
}

}  // namespace weft::live::tcp
