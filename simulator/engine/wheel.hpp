#pragma once
// Wheel: the calendar of an event-driven simulation. Every source of events (a port, a wire, a
// timer) has a number and at most one event pending, so an event is an index into flat arrays and
// setting one allocates nothing.
//
// Order: by time, then by number of the source: equal on every machine. Two rings of slots (128 ps
// wide over 8.4 us, 8.4 us wide over 137 ms) and a list for what is later; a slot is sorted when
// its turn comes. Slots of the near ring hold times and sources in chunks, one after the other in
// memory; one that was cancelled stays there and is passed over. Cost: O(1) per event as long as a
// slot holds a few. Leaves out: what events mean.
#include <array>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/units.hpp"

namespace weft {

class Wheel {
  public:
    explicit Wheel(std::size_t sources = 0) { grow(sources); }

    /// More sources; none goes away.
    void grow(std::size_t sources);
    [[nodiscard]] std::size_t sources() const { return event_.size(); }

    [[nodiscard]] SimTime now() const { return SimTime{now_}; }
    [[nodiscard]] bool pending(std::uint32_t source) const { return event_[source].at != kNone; }
    /// When; only of a pending one.
    [[nodiscard]] SimTime when(std::uint32_t source) const { return SimTime{event_[source].at}; }

    /// The source has nothing pending; `at` is not in the past.
    void set(std::uint32_t source, SimTime at) {
        Event& e = event_[source];
        e.at = at.ps();
        ++count_;
        if ((at.ps() >> kSlotBits) == slot_now_) {
            put_in_batch(source, at.ps());
        } else {
            put(source, at.ps());
        }
    }
    void cancel(std::uint32_t source);
    /// At the earlier of what is pending and `at`.
    void at_latest(std::uint32_t source, SimTime at) {
        if (pending(source)) {
            if (event_[source].at <= at.ps()) return;
            cancel(source);
        }
        set(source, at);
    }

    /// The next event, which is then no longer pending; false: none is left.
    bool next(std::uint32_t& source) {
        while (true) {
            while (taken_ < batch_.size()) {
                const Due due = batch_[taken_++];
                Event& e = event_[due.source];
                if (e.at != due.at) continue;  // was cancelled
                e.at = kNone;
                --count_;
                now_ = due.at;
                source = due.source;
                return true;
            }
            if (count_ == 0) return false;
            next_slot();
        }
    }

    [[nodiscard]] std::size_t bytes() const;

  private:
    static constexpr int kSlotBits = 7;                       // 128 ps
    static constexpr int kNearBits = 16;                      // slots of the near ring
    static constexpr int kFarBits = 14;                       // slots of the far ring
    static constexpr int kRoundBits = kSlotBits + kNearBits;  // a turn of the near ring
    static constexpr int kEpochBits = kRoundBits + kFarBits;  // a turn of the far ring
    static constexpr std::int64_t kNone = INT64_MAX;
    static constexpr std::uint32_t kEnd = UINT32_MAX;

    struct Event {
        std::int64_t at = kNone;
        std::uint32_t next = kEnd;
        std::uint32_t before = kEnd;
    };
    struct Due {
        std::int64_t at;
        std::uint32_t source;
    };
    /// Events of a near slot; a full one is followed by another.
    struct alignas(64) Chunk {
        static constexpr std::uint32_t kMost = 7;
        std::array<Due, kMost> due;
        std::uint32_t size;
        std::uint32_t next;
    };
    /// Slots with a bit for every one that is not empty.
    template <int kBits>
    struct Ring {
        std::vector<std::uint32_t> head = std::vector<std::uint32_t>(std::size_t{1} << kBits, kEnd);
        std::vector<std::uint64_t> some = std::vector<std::uint64_t>(std::size_t{1} << (kBits - 6));
        /// First slot that is not empty from `slot` on; -1: none.
        [[nodiscard]] std::int64_t first_from(std::int64_t slot) const;
        void mark(std::size_t slot) { some[slot >> 6] |= std::uint64_t{1} << (slot & 63); }
        void clear(std::size_t slot) { some[slot >> 6] &= ~(std::uint64_t{1} << (slot & 63)); }
    };

    void put(std::uint32_t source, std::int64_t at);
    void put_near(std::uint32_t source, std::int64_t at);
    [[nodiscard]] std::uint32_t take_chunk(std::uint32_t next);
    void gather(std::uint32_t chunk);
    void fetch(std::size_t slot) const;
    void put_in_batch(std::uint32_t source, std::int64_t at);
    void link(std::uint32_t& head, std::uint32_t source);
    [[nodiscard]] std::uint32_t* head_of(std::int64_t at);
    void next_slot();
    void enter_round(std::int64_t round);
    void enter_epoch(std::int64_t epoch);

    std::vector<Event> event_;
    Ring<kNearBits> near_;  // of chunks
    std::vector<Chunk> chunks_;
    std::uint32_t free_chunk_ = kEnd;
    Ring<kFarBits> far_;          // of events
    std::uint32_t later_ = kEnd;  // beyond the far ring's turn
    std::vector<Due> batch_;      // the slot in turn, in order
    std::size_t taken_ = 0;
    std::int64_t now_ = 0;
    std::int64_t slot_now_ = -1;  // of the batch
    std::int64_t round_ = 0;
    std::int64_t epoch_ = 0;
    std::size_t count_ = 0;
};

}  // namespace weft
