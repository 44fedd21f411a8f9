#pragma once
// The sending half of a lane: puts messages into slots, payload into the arena, learns what has
// been consumed. Payload of more than a slot holds is published as it is copied, so that the
// receiver works on the front while the back is written. What no peer has asked for goes as far as
// the arena's share for that; the rest follows once it is wanted.
#include <array>
#include <cstdint>
#include <span>

#include "collectives/transport/shm/arena.hpp"
#include "collectives/transport/shm/layout.hpp"

namespace weft::live::shm {

class Sender {
  public:
    /// `revocable`: the receiver claims each message before it reads it.
    Sender(Half& half, Arena& arena, bool revocable)
        : half_(&half), arena_(&arena), revocable_(revocable) {}

    /// No slot for the next message, or the lane is cut.
    [[nodiscard]] bool refuses() const { return ((in_use_ >> (next_ % kDepth)) & 1) != 0; }
    /// `places`: where the peer reads the bytes, and of which kind; empty: they
    /// are copied.
    void post(const MessageKey& key, std::uint64_t digest, Segments data,
              std::span<const Slot::Place> places, Kind kind = Kind::kPlace);
    /// Goes on with messages that are not complete; true: the peer has something to do.
    [[nodiscard]] bool advance();
    /// poll() would do something here.
    [[nodiscard]] bool has_news() const;

    /// Calls done(key) for each message consumed since the last call.
    template <class Done>
    void retire(Done&& done) {
        std::uint64_t news = fresh();
        seen_ ^= news;
        // In order of posting: the oldest slot is the next one to be used again.
        for (std::uint32_t i = 0; news != 0; ++i) {
            const std::uint32_t at = static_cast<std::uint32_t>((next_ + i) % kDepth);
            if (((news >> at) & 1) == 0) continue;
            news &= ~(std::uint64_t{1} << at);
            const bool silent = sent_[at].silent;
            const MessageKey key = sent_[at].key;
            forget(at);
            if (!silent) done(key);
        }
    }
    /// Takes back everything that the receiver has not claimed, on a lane that is cut.
    template <class Lost>
    void revoke_all(Lost&& lost) {
        for (std::uint32_t i = 0; i < kDepth; ++i) {
            const auto at = static_cast<std::uint32_t>((next_ + i) % kDepth);
            if (!waits_for_peer(at) || !revoke(at)) continue;
            sent_[at].silent = true;
            lost(sent_[at].key);
        }
    }
    /// The messages of an operation are nobody's any more. True while the peer may still read the
    /// caller's memory for one of them.
    [[nodiscard]] bool cancel(ContextId context, std::uint64_t operation);
    /// The peer's process has gone: what it held is free.
    void reclaim();

  private:
    struct Sent {
        MessageKey key;
        std::uint64_t index = 0;
        Kind kind = Kind::kInline;
        bool silent = false;  // nobody waits for its end
        bool told_short = false;
        SegmentReader left{Segments{}};
        std::uint64_t size = 0;
        std::uint64_t copied = 0;
        std::uint64_t freed = 0;       // chunks that have come back
        std::uint64_t seen_taken = 0;  // when it was last looked at
        std::uint64_t seen_given = 0;
        std::array<std::uint16_t, Slot::kChunks> chunks{};
    };
    [[nodiscard]] bool waits_for_peer(std::uint32_t at) const {
        return ((in_use_ >> at) & 1) != 0 && !sent_[at].silent;
    }
    [[nodiscard]] std::uint64_t fresh() const {
        return in_use_ == 0 ? 0 : (load(half_->consumed) ^ seen_) & in_use_;
    }
    /// The receiver reads the caller's memory, and claims the message before.
    [[nodiscard]] static bool in_place(Kind k) { return k == Kind::kPlace || k == Kind::kFar; }
    [[nodiscard]] bool copy_piece(Sent& s, Slot& slot, Claim claim);
    [[nodiscard]] bool advance(Sent& s, Slot& slot);
    [[nodiscard]] bool revoke(std::uint32_t at);
    void free_chunks(Sent& s, std::uint64_t before);
    void forget(std::uint32_t at);

    Half* half_;
    Arena* arena_;
    bool revocable_;
    std::uint64_t next_ = 0;        // messages posted
    std::uint64_t in_use_ = 0;      // slots, one bit each
    std::uint64_t seen_ = 0;        // the receiver's word, as far as it has been dealt with
    std::uint64_t unfinished_ = 0;  // slots whose payload has not all been copied
    std::array<Sent, kDepth> sent_;
};

}  // namespace weft::live::shm
