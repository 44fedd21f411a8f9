#pragma once
// HostEntropy: which entropy value, and so which path, the next packet of a sender takes when
// packets are sprayed.
//
// Models four rules, as UEC's reference simulator has them (facts C2):
//   kOblivious  all in turn, in an order drawn anew each round
//   kBitmap     in turn, but one with a penalty is passed over and its penalty falls by one: a mark
//               costs 1, a loss 4, a timeout 15 (the most)
//   kReps       REPS (Bonato et al., 2024, arXiv 2407.21625): entropies whose acknowledgements came
//               unmarked are used again, once each, first come first used, from a ring of 8; else a
//               draw. After a timeout it freezes for `freeze`: it uses the ring round and round and
//               draws nothing; then it forgets the ring and explores with 16 draws.
//   kMixed      one that came back unmarked if there is any, else as kBitmap: the reference's
//   default
// The ring of kMixed holds as many as there are entropies, the newest; the reference's has no end.
// Leaves out: what switches hash besides, freezing without a timeout (the paper's variant without
// trimming waits for missing acknowledgements).
// Memory: 48 bytes and storage(): 8, or up to 2 bytes an entropy. Draws are of a stream of its own.
#include <algorithm>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "base/units.hpp"

namespace weft {

enum class SprayRule : std::uint8_t { kOblivious, kBitmap, kReps, kMixed };

struct SprayProfile {
    SprayRule rule = SprayRule::kMixed;
    std::uint32_t entropies = 64;  // a power of two; at most 256 but for kOblivious
    SimDuration freeze = ms(10);   // the reference's exit_freeze_after
};

/// What became of a packet.
enum class PathNews : std::uint8_t { kGood, kMarked, kLost, kTimeout };

class HostEntropy {
  public:
    /// Bytes to hand to the constructor, all zero.
    [[nodiscard]] static std::size_t storage(const SprayProfile& p) {
        switch (p.rule) {
            case SprayRule::kOblivious:
                return 0;
            case SprayRule::kBitmap:
                return p.entropies;
            case SprayRule::kReps:
                return kRepsSlots;
            case SprayRule::kMixed:
                return 2 * p.entropies;
        }
        return 0;
    }
    /// `storage` outlives this. `key`: of the sender, for its draws.
    HostEntropy(const SprayProfile& p, std::uint64_t key, std::span<std::uint8_t> storage)
        : bytes_(storage.data()), key_(key), mask_(p.entropies - 1), rule_(p.rule) {
        WEFT_CHECK(p.entropies > 0 && (p.entropies & mask_) == 0, "{} entropies", p.entropies);
        WEFT_CHECK(rule_ == SprayRule::kOblivious || p.entropies <= 256, "{} entropies",
                   p.entropies);
        WEFT_CHECK(storage.size() == HostEntropy::storage(p), "{} bytes", storage.size());
        order_ = draw();
    }

    /// The entropy of the packet that leaves now, below `entropies`.
    std::uint32_t next() {
        switch (rule_) {
            case SprayRule::kOblivious:
                return in_turn();
            case SprayRule::kBitmap:
                return unpenalised();
            case SprayRule::kReps:
                return reps();
            case SprayRule::kMixed:
                break;
        }
        if (fresh_ == 0) return unpenalised();
        const std::uint32_t e = ring()[(head_ - fresh_) & mask_];
        --fresh_;
        return e;
    }

    /// What an acknowledgement, a NACK or a timer says of a packet that took entropy e.
    void feedback(std::uint32_t e, PathNews news, SimTime now, const SprayProfile& p) {
        if (rule_ == SprayRule::kOblivious) return;
        if (rule_ == SprayRule::kReps) {
            reps_feedback(e, news, now, p);
            return;
        }
        constexpr int kPenalty[] = {0, 1, 4, kMostPenalty};
        std::uint8_t& penalty = bytes_[e & mask_];
        penalty = static_cast<std::uint8_t>(
            std::min(kMostPenalty, penalty + kPenalty[static_cast<int>(news)]));
        if (rule_ == SprayRule::kMixed && news == PathNews::kGood) {
            ring()[head_++ & mask_] = static_cast<std::uint8_t>(e);
            fresh_ = std::min(fresh_ + 1, mask_ + 1);
        }
    }
    [[nodiscard]] bool frozen() const { return frozen_; }

  private:
    static constexpr std::uint32_t kRepsSlots = 8;
    static constexpr std::uint32_t kExplore = 16;
    static constexpr int kMostPenalty = 15;

    std::uint32_t draw() { return static_cast<std::uint32_t>(mix64(key_, draws_++)) & mask_; }
    [[nodiscard]] std::uint8_t* ring() {
        return rule_ == SprayRule::kMixed ? bytes_ + mask_ + 1 : bytes_;
    }
    std::uint32_t in_turn() {
        const std::uint32_t e = (turn_ ^ order_) & mask_;
        if (++turn_ > mask_) {
            turn_ = 0;
            order_ = draw();
        }
        return e;
    }
    std::uint32_t unpenalised() {
        std::uint32_t e = in_turn();
        if (bytes_[e] == 0) return e;
        --bytes_[e];  // only the first that is passed over: the reference's rule
        std::uint32_t tried = 0;
        do {
            e = in_turn();
        } while (bytes_[e] > 0 && ++tried <= mask_);
        return e;
    }
    std::uint32_t reps() {
        if (explore_ > 0) {
            --explore_;
            return draw();
        }
        if (frozen_ && held_ > 0) {
            if (++round_ >= held_) round_ = 0;
            return bytes_[round_];
        }
        if (frozen_ || fresh_ == 0) return draw();
        const std::uint32_t e = bytes_[(head_ - fresh_) % kRepsSlots];
        --fresh_;
        return e;
    }
    void reps_feedback(std::uint32_t e, PathNews news, SimTime now, const SprayProfile& p) {
        if (news == PathNews::kTimeout && !frozen_ && explore_ == 0) {
            frozen_ = true;
            thaws_ = now + p.freeze;
        }
        if (frozen_ && now > thaws_) {
            frozen_ = false;
            head_ = fresh_ = 0;
            held_ = 0;
            explore_ = kExplore;
        }
        if (news != PathNews::kGood) return;
        bytes_[head_++ % kRepsSlots] = static_cast<std::uint8_t>(e);
        fresh_ = std::min(fresh_ + 1, kRepsSlots);
        if (held_ < kRepsSlots) ++held_;
    }

    std::uint8_t* bytes_;  // penalties, then the ring; kReps: the ring
    std::uint64_t key_;
    SimTime thaws_;
    std::uint32_t draws_ = 0;
    std::uint32_t turn_ = 0, order_ = 0;
    std::uint32_t head_ = 0, fresh_ = 0;
    std::uint32_t mask_;
    std::uint8_t held_ = 0, round_ = 0, explore_ = 0;
    SprayRule rule_;
    bool frozen_ = false;
};

}  // namespace weft
