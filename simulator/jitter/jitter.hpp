#pragma once
// Jitter: how far ranks compute apart: noise of every operation, slow ranks, rare stalls.
//
// Models: three independent draws, each from its own stream of (seed, rank, op). A compute op of t:
//   noise      t e^(noise z), z standard normal: median t, skewed to the long side;
//   stragglers each rank with this probability is slower by this share for the whole step;
//   stalls     each op with this probability stands still for a time (a page fault, a collector).
//   jittered = t (1 + slower if straggler) e^(noise z) + (stall if stalled)
// Leaves out: correlation (hosts that are slow as a whole, drift over steps), jitter of the
// network and of launches. An op of no time has none. z is the sum of 12 uniforms of 16 bits less
// its mean (variance 1, |z| < 6; thinner than a normal beyond 4), e^x its [2/2] Pade approximant
// (x <= 1.2: within 0.4 %): integers only. Source: that ranks differ so, Lin et al., "Understanding
// Stragglers in Large Model Training", arXiv 2505.05713; the shares are the user's assumption,
// none has a default.
#include <cstdint>
#include <string>

#include "base/units.hpp"

namespace weft {

/// Shares in parts per billion ("2%" is 20,000,000).
struct Jitter {
    std::int64_t noise_ppb = 0;      // sigma
    std::int64_t straggler_ppb = 0;  // probability, of a rank
    std::int64_t slower_ppb = 0;     // by this share of the time
    std::int64_t stall_ppb = 0;      // probability, of an op
    SimDuration stall;
    bool operator==(const Jitter&) const = default;
    [[nodiscard]] bool any() const { return !(*this == Jitter{}); }
};

/// "noise=2%,stragglers=0.5%:15%,stalls=0.01%:20ms", each at most once; "none". ConfigError without
/// place.
[[nodiscard]] Jitter parse_jitter(const std::string& text);
[[nodiscard]] std::string to_string(const Jitter& j);

/// The draws of one rank under one seed: the same whatever the order in which ops are asked about.
class RankJitter {
  public:
    RankJitter(const Jitter& jitter, std::uint64_t seed, std::uint32_t rank);
    /// How long the op (its index in the program) takes that takes `time` undisturbed.
    [[nodiscard]] SimDuration of(std::uint32_t op, SimDuration time) const;
    [[nodiscard]] bool straggles() const { return straggles_; }
    /// Whether this op stalls.
    [[nodiscard]] bool stalls(std::uint32_t op) const;

  private:
    Jitter jitter_;
    std::uint64_t seed_;
    std::uint32_t rank_;
    bool straggles_ = false;
};

}  // namespace weft
