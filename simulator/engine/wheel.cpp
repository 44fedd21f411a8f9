#include "simulator/engine/wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace weft {

void Wheel::grow(std::size_t sources) {
    WEFT_CHECK(sources < kEnd, "{} sources of events", sources);
    if (sources > event_.size()) event_.resize(sources);
}

template <int kBits>
std::int64_t Wheel::Ring<kBits>::first_from(std::int64_t slot) const {
    auto word = static_cast<std::size_t>(slot >> 6);
    if (word >= some.size()) return -1;
    std::uint64_t bits = some[word] & (~std::uint64_t{0} << (slot & 63));
    while (bits == 0) {
        if (++word == some.size()) return -1;
        bits = some[word];
    }
    return static_cast<std::int64_t>(word * 64) + std::countr_zero(bits);
}

void Wheel::link(std::uint32_t& head, std::uint32_t source) {
    Event& e = event_[source];
    e.before = kEnd;
    e.next = head;
    if (head != kEnd) event_[head].before = source;
    head = source;
}

void Wheel::put(std::uint32_t source, std::int64_t at) {
    if (at >> kRoundBits == round_) {
        put_near(source, at);
    } else if (at >> kEpochBits == epoch_) {
        const auto slot = static_cast<std::size_t>((at >> kRoundBits) & ((1 << kFarBits) - 1));
        link(far_.head[slot], source);
        far_.mark(slot);
    } else {
        link(later_, source);
    }
}

void Wheel::put_near(std::uint32_t source, std::int64_t at) {
    const auto slot = static_cast<std::size_t>((at >> kSlotBits) & ((1 << kNearBits) - 1));
    std::uint32_t& head = near_.head[slot];
    if (head == kEnd) near_.mark(slot);
    if (head == kEnd || chunks_[head].size == Chunk::kMost) head = take_chunk(head);
    Chunk& c = chunks_[head];
    c.due[c.size++] = {at, source};
}

std::uint32_t Wheel::take_chunk(std::uint32_t next) {
    std::uint32_t chunk = free_chunk_;
    if (chunk == kEnd) {
        chunk = static_cast<std::uint32_t>(chunks_.size());
        chunks_.emplace_back();
    } else {
        free_chunk_ = chunks_[chunk].next;
    }
    chunks_[chunk].size = 0;
    chunks_[chunk].next = next;
    return chunk;
}

/// Moves a chunk and those that follow it into the batch.
void Wheel::gather(std::uint32_t chunk) {
    while (chunk != kEnd) {
        Chunk& c = chunks_[chunk];
        batch_.insert(batch_.end(), c.due.begin(), c.due.begin() + c.size);
        const std::uint32_t next = std::exchange(c.next, free_chunk_);
        free_chunk_ = std::exchange(chunk, next);
    }
}

/// Brings a slot that is soon due into the cache.
void Wheel::fetch(std::size_t slot) const {
    if (slot >= near_.head.size() || near_.head[slot] == kEnd) return;
    const Chunk* chunk = &chunks_[near_.head[slot]];
    __builtin_prefetch(chunk);
    __builtin_prefetch(&chunk->size);
}

void Wheel::put_in_batch(std::uint32_t source, std::int64_t at) {
    WEFT_CHECK(at >= now_, "an event at {} ps, now is {} ps", at, now_);
    const Due due{at, source};
    auto place = batch_.end();
    const auto from = batch_.begin() + static_cast<std::ptrdiff_t>(taken_);
    while (place != from) {
        const Due& d = *(place - 1);
        if (d.at < at || (d.at == at && d.source < source)) break;
        --place;
    }
    batch_.insert(place, due);
}

std::uint32_t* Wheel::head_of(std::int64_t at) {
    if (at >> kEpochBits == epoch_)
        return &far_.head[static_cast<std::size_t>((at >> kRoundBits) & ((1 << kFarBits) - 1))];
    return &later_;
}

void Wheel::cancel(std::uint32_t source) {
    Event& e = event_[source];
    if (e.at == kNone) return;
    // One of the batch or of a near slot is passed over there.
    if ((e.at >> kRoundBits) != round_) {
        if (e.before != kEnd) {
            event_[e.before].next = e.next;
        } else {
            *head_of(e.at) = e.next;  // an empty slot may keep its mark
        }
        if (e.next != kEnd) event_[e.next].before = e.before;
    }
    e.at = kNone;
    --count_;
}

void Wheel::enter_round(std::int64_t round) {
    round_ = round;
    const auto slot = static_cast<std::size_t>(round & ((1 << kFarBits) - 1));
    std::uint32_t s = far_.head[slot];
    far_.head[slot] = kEnd;
    far_.clear(slot);
    while (s != kEnd) {
        const std::uint32_t after = event_[s].next;
        put(s, event_[s].at);
        s = after;
    }
}

void Wheel::enter_epoch(std::int64_t epoch) {
    epoch_ = epoch;
    round_ = epoch << kFarBits;
    std::uint32_t s = later_;
    later_ = kEnd;
    while (s != kEnd) {
        const std::uint32_t after = event_[s].next;
        put(s, event_[s].at);
        s = after;
    }
}

void Wheel::next_slot() {
    batch_.clear();
    taken_ = 0;
    // A source whose event is in the slot in turn is never in a list.
    std::int64_t from =
        slot_now_ >> kNearBits == round_ ? (slot_now_ & ((1 << kNearBits) - 1)) + 1 : 0;
    while (true) {
        const std::int64_t slot = near_.first_from(from);
        if (slot >= 0) {
            const auto index = static_cast<std::size_t>(slot);
            near_.clear(index);
            gather(std::exchange(near_.head[index], kEnd));
            fetch(index + 2);
            slot_now_ = (round_ << kNearBits) | slot;
            break;
        }
        from = 0;
        const std::int64_t round = far_.first_from((round_ & ((1 << kFarBits) - 1)) + 1);
        if (round >= 0) {
            enter_round((epoch_ << kFarBits) | round);
            continue;
        }
        std::int64_t earliest = kNone;
        for (std::uint32_t s = later_; s != kEnd; s = event_[s].next)
            earliest = std::min(earliest, event_[s].at);
        WEFT_CHECK(earliest != kNone, "{} events pending and none found", count_);
        enter_epoch(earliest >> kEpochBits);
        // What falls into the first round of the epoch is near already; its far slot is empty.
    }
    std::sort(batch_.begin(), batch_.end(), [](const Due& a, const Due& b) {
        return a.at != b.at ? a.at < b.at : a.source < b.source;
    });
}

std::size_t Wheel::bytes() const {
    return event_.capacity() * sizeof(Event) + near_.head.size() * 4 + near_.some.size() * 8 +
           chunks_.capacity() * sizeof(Chunk) + far_.head.size() * 4 + far_.some.size() * 8 +
           batch_.capacity() * sizeof(Due);
}

}  // namespace weft
