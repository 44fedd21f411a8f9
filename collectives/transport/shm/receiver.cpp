#include "collectives/transport/shm/receiver.hpp"

#include <algorithm>
#include <cstring>

namespace weft::live::shm {

Got* Receiver::next() {
    Slot& slot = half_->slots[next_ % kDepth];
    Got& g = got_[next_ % kDepth];
    const std::uint32_t state = load(slot.state);
    // The sender may use a slot again only after it has been consumed.
    if (g.state != Got::State::kFree) {
        broken_ = true;
        return nullptr;
    }
    g.index = next_++;
    if ((state & 3) == Slot::kRevoked) {
        consume(g);
        return nullptr;
    }
    const std::uint64_t size = peek(slot.size);
    g.key = {peek(slot.operation), peek(slot.context), peek(slot.stream), peek(slot.sequence)};
    g.digest = peek(slot.digest);
    g.size = size & Slot::kSizeMask;
    g.pieces = static_cast<std::uint8_t>(size >> 48);
    g.kind = static_cast<Kind>(size >> 56);
    const bool fits = g.kind == Kind::kInline   ? g.size <= Slot::kPayload
                      : g.kind == Kind::kStream ? g.size > Slot::kPayload
                                                : g.kind <= Kind::kFar && g.pieces <= Slot::kPlaces;
    if (!fits || (state & 3) != Slot::kPosted) {
        broken_ = true;
        return nullptr;
    }
    g.state = Got::State::kWaiting;
    g.done = g.seen = 0;
    return &g;
}

bool Receiver::claim(Got& g) {
    if (!revocable_ && g.kind < Kind::kPlace) return true;
    std::uint32_t expected = state_of(g.index, Slot::kPosted);
    std::atomic_ref<std::uint32_t> state(half_->slots[g.index % kDepth].state);
    if (state.compare_exchange_strong(expected, state_of(g.index, Slot::kClaimed))) return true;
    consume(g);
    return false;
}

Receiver::Progress Receiver::fill(Got& g, bool& tell) {
    if (g.state != Got::State::kFilling) {
        g.state = Got::State::kFilling;
        g.copies = g.to.has_value();
        if (g.to) g.into = SegmentReader(*g.to);
        g.view.clear();
    }
    if (g.kind == Kind::kStream) return fill_stream(g, tell);
    if (g.kind != Kind::kInline) return fill_places(g);
    return give(g, half_->slots[g.index % kDepth].bytes, g.size);
}

Receiver::Progress Receiver::give(Got& g, const std::byte* from, std::size_t size) {
    if (!g.copies) {
        // A view is only read; Segment serves destinations as well.
        g.view.push_back({.region = 0, .data = const_cast<std::byte*>(from), .size = size});
        return Progress::kComplete;
    }
    for (std::size_t at = 0; at < size;) {
        const std::span<std::byte> to = g.into.next(size - at);
        if (to.empty()) return Progress::kCorrupt;
        std::memcpy(to.data(), from + at, to.size());
        at += to.size();
    }
    g.done += size;
    return Progress::kComplete;
}

void Receiver::take_buffer(Got& g) {
    g.copies = true;
    g.copy = pool_->take(g.size);
    g.view.push_back({.region = 0, .data = g.copy.data.get(), .size = g.size});
    g.into = SegmentReader(g.view);
}

Receiver::Progress Receiver::fill_places(Got& g) {
    const Slot& slot = half_->slots[g.index % kDepth];
    const bool far = g.kind == Kind::kFar;
    if (far && !g.copies) take_buffer(g);
    std::uint64_t left = g.size;
    for (std::uint8_t i = 0; i < g.pieces; ++i) {
        Slot::Place place;
        std::memcpy(&place, &slot.places[i], sizeof place);
        if (place.size > left) return Progress::kCorrupt;
        left -= place.size;
        const std::byte* here =
            far ? nullptr : places_->find(place.block, place.offset, place.size);
        if (!far && here == nullptr) return Progress::kCorrupt;
        const Progress p = far ? fetch(g, place) : give(g, here, place.size);
        if (p != Progress::kComplete) return p;
    }
    return left == 0 ? Progress::kComplete : Progress::kCorrupt;
}

Receiver::Progress Receiver::fetch(Got& g, const Slot::Place& place) {
    for (std::uint64_t at = 0; at < place.size;) {
        const std::span<std::byte> to = g.into.next(place.size - at);
        if (to.empty()) return Progress::kCorrupt;
        const RemoteMemory::Read r = places_->read(place.offset + at, to);
        // Of a process that has ended nothing more is known: as if it had not sent
        // it.
        if (r == RemoteMemory::Read::kGone) return Progress::kGivenUp;
        if (r == RemoteMemory::Read::kRefused) return Progress::kCorrupt;
        at += to.size();
    }
    g.done += place.size;
    return Progress::kComplete;
}

std::span<const std::byte> Receiver::chunk(const Got& g, std::uint64_t number) const {
    const Slot& slot = half_->slots[g.index % kDepth];
    const std::size_t offset =
        std::size_t{peek(slot.chunked.chunks[number % Slot::kChunks])} * kPage;
    const std::size_t size = chunk_size(g.size);
    if (offset > arena_.size() || arena_.size() - offset < size) return {};
    return arena_.subspan(offset, size);
}

void Receiver::tell_taken(Got& g) {
    g.told = true;
    const std::uint64_t flags = g.copies ? kWanted | kCopying : kWanted;
    store(half_->taken[g.index % kDepth], (g.index & 0xffff) << 48 | flags | g.done);
}

Receiver::Progress Receiver::fill_stream(Got& g, bool& tell) {
    const std::uint64_t word = load(half_->slots[g.index % kDepth].chunked.published);
    const std::uint64_t published = word & Slot::kSizeMask;
    const bool first = g.seen == 0 && g.done == 0;
    g.seen = word;
    if (published > g.size || published < g.done) return Progress::kCorrupt;
    if ((word & Slot::kGivenUp) != 0) return Progress::kGivenUp;
    const std::size_t size = chunk_size(g.size);
    if (!g.copies) {
        if (published == g.size) {
            for (std::uint64_t at = 0; at < g.size; at += size) {
                const auto bytes = chunk(g, at / size);
                if (bytes.empty()) return Progress::kCorrupt;
                (void)give(g, bytes.data(), std::min<std::uint64_t>(size, g.size - at));
            }
            return Progress::kComplete;
        }
        if ((word & Slot::kShort) == 0) {
            if (first) tell_taken(g);
            tell = tell || first;
            return Progress::kPending;
        }
        // The arena cannot hold all of it: it is put together here.
        take_buffer(g);
    }
    const bool all_there = published == g.size && g.done == 0;
    while (g.done < published) {
        const auto bytes = chunk(g, g.done / size);
        if (bytes.empty()) return Progress::kCorrupt;
        const std::size_t within = g.done % size;
        const std::size_t n = std::min<std::uint64_t>(size - within, published - g.done);
        if (give(g, bytes.data() + within, n) != Progress::kComplete) return Progress::kCorrupt;
    }
    if (!all_there) {
        tell_taken(g);
        tell = true;
    }
    return g.done == g.size ? Progress::kComplete : Progress::kPending;
}

void Receiver::consume(Got& g) {
    g.state = Got::State::kFree;
    g.to.reset();
    if (g.copy.data) pool_->give(std::move(g.copy));
    g.copy = {};
    if (g.told) set(half_->taken[g.index % kDepth], std::uint64_t{0});
    g.told = false;
    consumed_ ^= std::uint64_t{1} << (g.index % kDepth);
}

}  // namespace weft::live::shm
