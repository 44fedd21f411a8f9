#pragma once
// The receiving half of a lane: takes messages out of their slots in order of posting into books of
// its own, and shows or copies their payload when somebody wants it, in any order. Every number
// that is read from the sender's memory is read once and checked; a message that breaks the rules
// is kCorrupt and its lane is not read any more.
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/shm/layout.hpp"
#include "collectives/transport/shm/remote_memory.hpp"

namespace weft::live::shm {

/// A message that has come.
struct Got {
    enum class State : std::uint8_t {
        kFree,
        kWaiting,  // for somebody to ask for it
        kFilling,  // asked for, not complete
        kShown,    // as a view, until it is released
    };
    MessageKey key;
    std::uint64_t digest = 0;
    std::uint64_t size = 0;
    std::uint64_t index = 0;
    State state = State::kFree;
    Kind kind = Kind::kInline;
    std::uint8_t pieces = 0;
    bool copies = false;             // into `to`, or else it is shown where it lies
    bool told = false;               // the sender has been told how far it is
    std::optional<Segments> to;      // of the receive; absent: a view
    SegmentReader into{Segments{}};  // what of the destination is left
    std::uint64_t done = 0;          // bytes copied
    std::uint64_t seen = 0;          // `published` when it was last looked at
    std::vector<Segment> view;
    BufferPool::Buffer copy;
};

class Receiver {
  public:
    /// The sender's memory besides its arena.
    class Places {
      public:
        virtual ~Places() = default;
        /// Where `size` bytes at `offset` of a block that it shares lie here; null:
        /// nowhere.
        [[nodiscard]] virtual const std::byte* find(std::uint32_t block, std::uint64_t offset,
                                                    std::uint64_t size) = 0;
        [[nodiscard]] virtual RemoteMemory::Read read(std::uint64_t address,
                                                      std::span<std::byte> to) = 0;
    };
    Receiver(Half& half, std::span<const std::byte> arena, Places& places, BufferPool& pool,
             bool revocable)
        : half_(&half), arena_(arena), places_(&places), pool_(&pool), revocable_(revocable) {}

    /// Whether next() has something.
    [[nodiscard]] bool ready() const {
        const std::uint32_t state = load(half_->slots[next_ % kDepth].state);
        return (state >> 2) == (state_of(next_, Slot::kPosted) >> 2) && !broken_;
    }
    /// The next message, in state kWaiting; null: revoked meanwhile, or broken().
    [[nodiscard]] Got* next();
    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] Got& at(std::uint64_t index) { return got_[index % kDepth]; }

    /// Its sender has given it up: what nobody has asked for yet need not wait any longer.
    [[nodiscard]] bool taken_back(const Got& g) const {
        return load(half_->slots[g.index % kDepth].state) == state_of(g.index, Slot::kRevoked);
    }
    /// From now on nobody else has it. False: the sender has taken it back, and it is gone here.
    [[nodiscard]] bool claim(Got& g);
    enum class Progress : std::uint8_t { kPending, kComplete, kGivenUp, kCorrupt };
    /// Copies or shows what there is; g.to says which. The sender has news if `tell` is set.
    [[nodiscard]] Progress fill(Got& g, bool& tell);
    /// More of an unfinished message has come.
    [[nodiscard]] bool has_more(const Got& g) const {
        return load(half_->slots[g.index % kDepth].chunked.published) != g.seen;
    }
    /// Done with it: its slot goes back to the sender, at the next publish().
    void consume(Got& g);
    void publish() {
        if (published_ == consumed_) return;
        published_ = consumed_;
        store(half_->consumed, consumed_);
    }
    /// Calls drop(g) for each waiting message that its sender has taken back, and consumes it.
    template <class Drop>
    void drop_revoked(Drop&& drop) {
        for (Got& g : got_)
            if (g.state == Got::State::kWaiting && taken_back(g)) {
                drop(g);
                consume(g);
            }
    }
    [[nodiscard]] std::span<Got> all() { return got_; }

  private:
    [[nodiscard]] Progress fill_stream(Got& g, bool& tell);
    [[nodiscard]] Progress fill_places(Got& g);
    [[nodiscard]] Progress fetch(Got& g, const Slot::Place& place);
    /// A view of bytes that are put together here.
    void take_buffer(Got& g);
    [[nodiscard]] Progress give(Got& g, const std::byte* from, std::size_t size);
    /// A chunk's bytes in the sender's arena; empty when the number is wrong.
    [[nodiscard]] std::span<const std::byte> chunk(const Got& g, std::uint64_t number) const;
    void tell_taken(Got& g);

    Half* half_;
    std::span<const std::byte> arena_;
    Places* places_;
    BufferPool* pool_;
    bool revocable_;
    bool broken_ = false;
    std::uint64_t next_ = 0;
    std::uint64_t consumed_ = 0;
    std::uint64_t published_ = 0;  // of it
    std::array<Got, kDepth> got_;
};

}  // namespace weft::live::shm
