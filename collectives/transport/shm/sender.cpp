#include "collectives/transport/shm/sender.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace weft::live::shm {

namespace {

// The receiver begins after this many bytes of a long message.
constexpr std::size_t kPiece = 16 * 1024;
// advance() gives the caller its thread back after this many.
constexpr std::size_t kMostAtOnce = 512 * 1024;
// Chunks on their way of a message that is taken piece by piece.
constexpr std::uint64_t kWindow = 16;

std::uint64_t turn_of(std::uint64_t index) {
    return (index & 0xffff) << 48;
}

}  // namespace

void Sender::post(const MessageKey& key, std::uint64_t digest, Segments data,
                  std::span<const Slot::Place> places, Kind kind) {
    const auto at = static_cast<std::uint32_t>(next_ % kDepth);
    Slot& slot = half_->slots[at];
    Sent& s = sent_[at];
    const std::uint64_t size = total_size(data);
    s.key = key;
    s.index = next_++;
    s.silent = false;
    s.size = size;
    s.kind = !places.empty() ? kind : size <= Slot::kPayload ? Kind::kInline : Kind::kStream;
    in_use_ |= std::uint64_t{1} << at;
    set(slot.sequence, key.sequence);
    set(slot.operation, key.operation);
    set(slot.digest, digest);
    set(slot.size, std::uint64_t{static_cast<std::uint8_t>(s.kind)} << 56 |
                       std::uint64_t{places.size()} << 48 | size);
    set(slot.context, key.context);
    set(slot.stream, key.stream);
    const std::uint32_t posted = state_of(s.index, Slot::kPosted);
    if (s.kind == Kind::kStream) {
        s.left = SegmentReader(data);
        s.copied = s.freed = 0;
        s.told_short = false;
        set(slot.chunked.published, std::uint64_t{0});
        (void)copy_piece(s, slot, Claim::kUnasked);
        store(slot.state, posted);
        unfinished_ |= std::uint64_t{1} << at;
        (void)advance(s, slot);
        return;
    }
    if (in_place(s.kind)) {
        std::memcpy(slot.places, places.data(), places.size_bytes());
    } else {
        std::byte* to = slot.bytes;
        for (const Segment& piece : data) {
            if (piece.size == 0) continue;
            std::memcpy(to, piece.data, piece.size);
            to += piece.size;
        }
    }
    store(slot.state, posted);
}

bool Sender::copy_piece(Sent& s, Slot& slot, Claim claim) {
    const std::size_t chunk = chunk_size(s.size);
    const std::uint64_t number = s.copied / chunk;
    const std::size_t within = s.copied % chunk;
    if (within == 0) {
        const std::uint64_t most = claim == Claim::kPieces ? kWindow : Slot::kChunks;
        if (number - s.freed >= most) return false;
        const auto page = arena_->take(chunk, claim);
        if (!page) return false;
        s.chunks[number % Slot::kChunks] = *page;
        set(slot.chunked.chunks[number % Slot::kChunks], std::uint32_t{*page});
    }
    std::byte* const to = arena_->at(s.chunks[number % Slot::kChunks]) + within;
    const std::size_t size = std::min({kPiece, chunk - within, std::size_t{s.size - s.copied}});
    for (std::size_t done = 0; done < size;) {
        const std::span<const std::byte> from = s.left.next(size - done);
        std::memcpy(to + done, from.data(), from.size());
        done += from.size();
    }
    s.copied += size;
    store(slot.chunked.published, s.copied | (s.told_short ? Slot::kShort : 0));
    return true;
}

bool Sender::advance(Sent& s, Slot& slot) {
    const std::uint64_t word = load(half_->taken[s.index % kDepth]);
    const std::uint64_t flags = (word & ~(kWanted | kCopying | kTakenMask)) == turn_of(s.index)
                                    ? word & (kWanted | kCopying | kTakenMask)
                                    : 0;
    const bool wanted = (flags & kWanted) != 0;
    const bool copying = (flags & kCopying) != 0;
    const std::size_t chunk = chunk_size(s.size);
    if (copying) free_chunks(s, std::min(flags & kTakenMask, s.copied) / chunk);
    const Claim claim = !wanted ? Claim::kUnasked : copying ? Claim::kPieces : Claim::kShown;
    bool any = false;
    const std::uint64_t stop = s.copied + kMostAtOnce;
    while (s.copied < s.size && s.copied < stop && copy_piece(s, slot, claim)) any = true;
    s.seen_taken = word;
    // Room that is left means that only the limit of one call has stopped it: at once again.
    s.seen_given = s.copied >= stop ? ~std::uint64_t{0} : arena_->given();
    if (s.copied == s.size) {
        unfinished_ &= ~(std::uint64_t{1} << (s.index % kDepth));
    } else if (wanted && !copying && !s.told_short && s.copied < stop) {
        s.told_short = true;
        store(slot.chunked.published, s.copied | Slot::kShort);
        any = true;
    }
    return any;
}

bool Sender::advance() {
    bool any = false;
    for (std::uint64_t left = unfinished_; left != 0; left &= left - 1) {
        const auto at = static_cast<std::uint32_t>(std::countr_zero(left));
        any = advance(sent_[at], half_->slots[at]) || any;
    }
    return any;
}

bool Sender::has_news() const {
    if (fresh() != 0) return true;
    for (std::uint64_t left = unfinished_; left != 0; left &= left - 1) {
        const auto at = static_cast<std::uint32_t>(std::countr_zero(left));
        if (load(half_->taken[at]) != sent_[at].seen_taken) return true;
        if (arena_->given() != sent_[at].seen_given) return true;
    }
    return false;
}

bool Sender::revoke(std::uint32_t at) {
    Sent& s = sent_[at];
    if (!revocable_ && !in_place(s.kind)) return false;
    std::uint32_t expected = state_of(s.index, Slot::kPosted);
    std::atomic_ref<std::uint32_t> state(half_->slots[at].state);
    if (!state.compare_exchange_strong(expected, state_of(s.index, Slot::kRevoked)))
        return expected == state_of(s.index, Slot::kRevoked);
    // Nobody reads it any more. The slot is free when the receiver has passed it.
    if (s.kind == Kind::kStream) free_chunks(s, Slot::kSizeMask);
    unfinished_ &= ~(std::uint64_t{1} << at);
    return true;
}

bool Sender::cancel(ContextId context, std::uint64_t operation) {
    bool being_read = false;
    for (std::uint32_t at = 0; at < kDepth; ++at) {
        Sent& s = sent_[at];
        if (((in_use_ >> at) & 1) == 0) continue;
        if (s.key.context != context || s.key.operation != operation) continue;
        s.silent = true;
        if (revoke(at)) continue;
        being_read = being_read || in_place(s.kind);
        // A receiver that never begins the operation would keep it, and its slot, for ever.
        std::uint32_t expected = state_of(s.index, Slot::kPosted);
        std::atomic_ref<std::uint32_t>(half_->slots[at].state)
            .compare_exchange_strong(expected, state_of(s.index, Slot::kRevoked));
        if (((unfinished_ >> at) & 1) == 0) continue;
        unfinished_ &= ~(std::uint64_t{1} << at);
        store(half_->slots[at].chunked.published, s.copied | Slot::kGivenUp);
    }
    return being_read;
}

void Sender::free_chunks(Sent& s, std::uint64_t before) {
    const std::size_t chunk = chunk_size(s.size);
    const std::uint64_t begun = (s.copied + chunk - 1) / chunk;
    for (; s.freed < std::min(begun, before); ++s.freed)
        arena_->give(s.chunks[s.freed % Slot::kChunks], chunk);
}

void Sender::forget(std::uint32_t at) {
    if (sent_[at].kind == Kind::kStream) free_chunks(sent_[at], Slot::kSizeMask);
    const std::uint64_t bit = std::uint64_t{1} << at;
    in_use_ &= ~bit;
    unfinished_ &= ~bit;
}

void Sender::reclaim() {
    for (std::uint32_t at = 0; at < kDepth; ++at)
        if (((in_use_ >> at) & 1) != 0) forget(at);
}

}  // namespace weft::live::shm
