// Operations and messages of an mpi endpoint: what is posted, what comes, how they meet.
#include <algorithm>

#include "collectives/transport/mpi/endpoint.hpp"
#include "collectives/transport/tcp/credit.hpp"

namespace weft::live::mpi {

namespace {

// Of one communicator on one lane.
constexpr std::uint32_t kMostPosted = 128;
constexpr std::uint64_t kMostPostedBytes = 8 << 20;

}  // namespace

void Mailbox::begin(const OperationHead& head) {
    for (const auto& id : ledger_.skipped(head.context, head.operation))
        forget(id.first, id.second);
    const bool rises = ledger_.begin(head);
    WEFT_CHECK(rises, "operation {} of communicator {} begins out of order", head.operation,
               head.context);
    Operation& op = *ledger_.find(head.context, head.operation);
    for (const auto& [peer, theirs] : op.theirs)
        if (!same_head(faults_, op, peer, theirs)) disown(op, peer);
    for (const auto& [key, size] : op.grants) --peers_[key.peer].early_grants;
    op.theirs.clear();
}

/// Nothing that came early from a peer that disagrees is ever consumed.
void Mailbox::disown(Operation& op, std::uint32_t peer) {
    for (auto it = op.receives.begin(); it != op.receives.end();) {
        if (it->first.peer == peer) give_back(peer, it->second);
        it = it->first.peer == peer ? op.receives.erase(it) : std::next(it);
    }
}

void Mailbox::end(ContextId context, std::uint64_t operation) {
    forget(context, operation);
    // Acknowledgements of the last messages: nobody may poll for long.
    flush();
}

void Mailbox::cancel(ContextId context, std::uint64_t operation) {
    forget(context, operation);
    std::erase_if(completions_, [&](const Completion& c) {
        return c.key.context == context && c.key.operation == operation;
    });
}

void Mailbox::forget(ContextId context, std::uint64_t operation) {
    Operation* op = ledger_.find(context, operation);
    if (op == nullptr) return;
    std::vector<std::uint64_t> mine;
    for (const auto& [serial, send] : sends_)
        if (send.key.context == context && send.key.operation == operation) mine.push_back(serial);
    for (const std::uint64_t serial : mine) drop_send(sends_.at(serial));
    for (auto& [key, receive] : op->receives) {
        if (receive.complete && !receive.consumed)
            peers_[key.peer].acks.push_back(receive.landing.serial);
        give_back(key.peer, receive);
    }
    if (!op->begun)
        for (const auto& [key, size] : op->grants) --peers_[key.peer].early_grants;
    ledger_.erase(context, operation);
}

void Mailbox::give_back(std::uint32_t peer, Receive& receive) {
    if (receive.buffered) peers_[peer].early -= receive.size + tcp::kEarlyCost;
    receive.buffered = false;
    pool_.give(std::move(receive.buffer));
    receive.buffer = {};
}

Operation& Mailbox::begun(const MessageKey& key) {
    Operation* op = ledger_.find(key.context, key.operation);
    WEFT_CHECK(op != nullptr && op->begun, "operation {} of communicator {} has not begun",
               key.operation, key.context);
    return *op;
}

bool Mailbox::post_send(std::uint32_t rank, std::uint32_t lane, const MessageKey& key,
                        Segments data) {
    regions_.check(data);
    WEFT_CHECK(rank < ranks_ && lane < lanes_.size(), "rank {} has no lane {} to {}", rank_, lane,
               rank);
    Peer& peer = peers_[rank];
    auto share = std::find_if(peer.posted.begin(), peer.posted.end(), [&](const Share& s) {
        return s.lane == lane && s.context == key.context;
    });
    if (share == peer.posted.end())
        share = peer.posted.insert(share, {.lane = lane, .context = key.context});
    if (share->messages >= kMostPosted || share->bytes >= kMostPostedBytes || peer.lost)
        return false;
    Operation& op = begun(key);
    const std::uint64_t serial = ++serial_;
    Send& send = sends_[serial];
    send = {.serial = serial,
            .peer = rank,
            .lane = lane,
            .key = key,
            .head = op.head,
            .from = SegmentCursor(data),
            .size = total_size(data)};
    ++share->messages;
    share->bytes += send.size;
    const std::uint64_t cost = send.size + tcp::kEarlyCost;
    if (const auto grant = op.grants.find(send.peer_key()); grant != op.grants.end()) {
        send.header_only = grant->second != send.size || op.faulted;
        peer.ready.push_back(&send);
    } else if (send.size <= options_.eager && peer.eager_used + cost <= tcp::kEagerCredit) {
        peer.eager_used += cost;
        send.eager = true;
        peer.ready.push_back(&send);
    } else {
        op.waiting[send.peer_key()] = serial;
        if (send.size <= options_.eager)
            put(rank,
                {.kind = FrameKind::kWant,
                 .head = op.head,
                 .stream = key.stream,
                 .sequence = key.sequence,
                 .serial = serial,
                 .size = send.size},
                {});
    }
    return true;
}

void Mailbox::drop_send(Send& send) {
    Peer& peer = peers_[send.peer];
    std::erase(peer.ready, &send);
    for (Share& share : peer.posted) {
        if (share.lane != send.lane || share.context != send.key.context) continue;
        --share.messages;
        share.bytes -= send.size;
    }
    std::erase_if(peer.posted, [](const Share& share) { return share.messages == 0; });
    if (send.eager) peer.eager_used -= send.size + tcp::kEarlyCost;
    if (Operation* op = ledger_.find(send.key.context, send.key.operation); op != nullptr) {
        const auto waiting = op->waiting.find(send.peer_key());
        if (waiting != op->waiting.end() && waiting->second == send.serial)
            op->waiting.erase(waiting);
    }
    sends_.erase(send.serial);
}

Receive& Mailbox::post(std::uint32_t peer, const MessageKey& key, std::uint64_t size) {
    WEFT_CHECK(peer < ranks_, "rank {} of {}", peer, ranks_);
    Receive& receive = begun(key).receives[{peer, key.stream, key.sequence}];
    WEFT_CHECK(!receive.posted, "message {} of stream {} is asked for twice", key.sequence,
               key.stream);
    receive.posted = true;
    if (!receive.seen) receive.size = size;
    return receive;
}

void Mailbox::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    regions_.check(to);
    const std::uint64_t size = total_size(to);
    Receive& receive = post(peer, key, size);
    receive.to = to;
    receive.landing.to = SegmentCursor(to);
    if (receive.size == size)
        posted(peer, key, receive);
    else
        raise(faults_, begun(key), tcp::wrong_size(peer, receive.size, size));
}

void Mailbox::post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) {
    Receive& receive = post(peer, key, size);
    receive.view = true;
    if (receive.size == size)
        posted(peer, key, receive);
    else
        raise(faults_, begun(key), tcp::wrong_size(peer, receive.size, size));
}

void Mailbox::posted(std::uint32_t peer, const MessageKey& key, Receive& receive) {
    if (receive.complete)
        finish(peer, key, receive);
    else if (receive.size > options_.eager || receive.wanted)
        peers_[peer].to_grant.push_back(
            {.operation = {key.context, key.operation},
             .entry = {.stream = key.stream, .sequence = key.sequence, .size = receive.size}});
}

void Mailbox::on_frame(std::uint32_t index, Frame frame) {
    const auto header = tcp::decode_header({frame.at(kHeaderAt), frame.size});
    const bool whole = header && frame.size == kHeaderSize + header->length;
    const bool known = whole && header->epoch < ranks_ && header->epoch != rank_ &&
                       (options_.threads || header->epoch == index);
    if (!known) {
        lose(index, "what came is not a message of this version");
        pool_.give(std::move(frame.buffer));
        return;
    }
    const std::uint32_t peer = header->epoch;
    const std::span<const std::byte> payload{frame.at(kPayloadAt), header->length};
    switch (header->kind) {
        case FrameKind::kMessage:
            on_message(peer, *header, frame);
            break;
        case FrameKind::kWant:
            on_want(peer, *header);
            break;
        case FrameKind::kGrant:
            on_grants(peer, *header, payload);
            break;
        case FrameKind::kAck:
            on_acks(peer, payload);
            break;
        default:
            lose(peer, "a frame that has no business here");
    }
    pool_.give(std::move(frame.buffer));
}

void Mailbox::on_message(std::uint32_t peer, const FrameHeader& header, Frame& frame) {
    const bool last =
        header.offset + header.length == header.size && (header.flags & tcp::kHeaderOnly) == 0;
    if (ledger_.ended(header.head.context, header.head.operation)) {
        if (last) peers_[peer].acks.push_back(header.serial);
        return;
    }
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    if (!same_head(faults_, op, peer, header.head)) return;
    Receive& receive = op.receives[{peer, header.stream, header.sequence}];
    if ((receive.posted || receive.seen) && header.size != receive.size)
        return raise(faults_, op, tcp::wrong_size(peer, header.size, receive.size));
    if ((header.flags & tcp::kHeaderOnly) != 0) return;
    if (receive.complete || header.offset != receive.landing.received ||
        !land(peer, header, receive, frame))
        return lose(peer, "a message that was not granted, or with a gap");
    if (receive.landing.received < receive.size) return;
    receive.complete = true;
    if (receive.posted) finish(peer, tcp::key_of(header), receive);
}

bool Mailbox::land(std::uint32_t peer, const FrameHeader& header, Receive& receive, Frame& frame) {
    receive.seen = true;
    receive.size = header.size;
    receive.landing.serial = header.serial;
    receive.lane = static_cast<std::uint32_t>(header.progress % lanes_.size());
    const std::span<const std::byte> bytes{frame.at(kPayloadAt), header.length};
    receive.landing.received += header.length;
    if (receive.posted && !receive.view) {
        receive.landing.to.write(bytes);
        return true;
    }
    if (!receive.posted) {
        const std::uint64_t cost = header.size + tcp::kEarlyCost;
        if (header.size > options_.eager || peers_[peer].early + cost > tcp::kMostEarly)
            return false;
        peers_[peer].early += cost;
        receive.buffered = true;
    }
    const bool alone = header.length == header.size;
    if (alone)
        receive.buffer = std::move(frame.buffer);
    else if (receive.buffer.data == nullptr)
        receive.buffer = pool_.take(header.size);
    std::byte* const begin = receive.buffer.data.get() + (alone ? kPayloadAt : 0);
    if (!alone) std::copy(bytes.begin(), bytes.end(), begin + header.offset);
    receive.shown = {.region = ~std::uint32_t{0}, .data = begin, .size = header.size};
    return true;
}

/// A complete message meets its receive.
void Mailbox::finish(std::uint32_t peer, const MessageKey& key, Receive& receive) {
    Completion done{.kind = Completion::Kind::kReceived,
                    .peer = peer,
                    .lane = receive.lane,
                    .key = key,
                    .data = receive.to};
    if (receive.view) {
        done.data = {&receive.shown, 1};
    } else {
        if (receive.buffer.data != nullptr)
            receive.landing.to.write({receive.shown.data, receive.shown.size});
        receive.consumed = true;
        give_back(peer, receive);
        peers_[peer].acks.push_back(receive.landing.serial);
    }
    completions_.push_back(done);
}

void Mailbox::release(const Completion& received) {
    Operation* op = ledger_.find(received.key.context, received.key.operation);
    if (op == nullptr) return;  // cancelled
    const auto found =
        op->receives.find({received.peer, received.key.stream, received.key.sequence});
    if (found == op->receives.end() || found->second.consumed) return;
    found->second.consumed = true;
    give_back(received.peer, found->second);
    peers_[received.peer].acks.push_back(found->second.landing.serial);
}

void Mailbox::on_want(std::uint32_t peer, const FrameHeader& header) {
    if (ledger_.ended(header.head.context, header.head.operation)) {
        peers_[peer].acks.push_back(header.serial);
        return;
    }
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    if (!same_head(faults_, op, peer, header.head)) return;
    Receive& receive = op.receives[{peer, header.stream, header.sequence}];
    if (receive.posted && header.size != receive.size)
        return raise(faults_, op, tcp::wrong_size(peer, header.size, receive.size));
    receive.wanted = true;
    if (receive.posted && !receive.complete) posted(peer, tcp::key_of(header), receive);
}

void Mailbox::on_grants(std::uint32_t from, const FrameHeader& header,
                        std::span<const std::byte> payload) {
    const auto entries = tcp::parse_grants(payload);
    if (!entries) return lose(from, "grants that are none");
    if (ledger_.ended(header.head.context, header.head.operation)) return;
    Operation& op = ledger_.open(header.head.context, header.head.operation);
    const bool same = same_head(faults_, op, from, header.head);
    Peer& peer = peers_[from];
    if (!op.begun) {
        peer.early_grants += static_cast<std::uint32_t>(entries->size());
        if (peer.early_grants > tcp::kMostEarlyGrants)
            return lose(from, "too many grants of operations to come");
    }
    for (const GrantEntry& e : *entries) {
        const PeerKey key{from, e.stream, e.sequence};
        const auto [at, fresh] = op.grants.insert_or_assign(key, e.size);
        if (!op.begun && !fresh) --peer.early_grants;
        // A disagreeing peer is shown our head, so that it knows too.
        granted(op, key, same ? at->second : ~std::uint64_t{0});
    }
}

void Mailbox::granted(Operation& op, const PeerKey& key, std::uint64_t size) {
    const auto waiting = op.waiting.find(key);
    if (waiting == op.waiting.end()) return;
    Send& send = sends_.at(waiting->second);
    op.waiting.erase(waiting);
    send.header_only = send.size != size;
    peers_[send.peer].ready.push_back(&send);
}

void Mailbox::on_acks(std::uint32_t peer, std::span<const std::byte> payload) {
    const auto serials = tcp::parse_acks(payload);
    if (!serials) return lose(peer, "acknowledgements that are none");
    for (const std::uint64_t serial : *serials) {
        const auto found = sends_.find(serial);
        if (found == sends_.end()) continue;  // cancelled meanwhile
        Send& send = found->second;
        if (send.peer != peer) return lose(peer, "an acknowledgement of what was not sent there");
        completions_.push_back({.kind = Completion::Kind::kSent,
                                .peer = peer,
                                .lane = send.lane,
                                .key = send.key,
                                .data = {}});
        drop_send(send);
    }
}

}  // namespace weft::live::mpi
