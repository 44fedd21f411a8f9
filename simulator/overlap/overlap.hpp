#pragma once
// Overlap: how much slower a GPU computes while it communicates.
//
// Models: a kernel of B blocks on a GPU of S SMs, one block an SM, runs in waves. A communication
// kernel keeps `held` SMs to itself from a rank's arrival to the end, waiting included (NCCL: one
// block a channel, which shares its SM with nobody, nccl#689); copy engines keep none. Of a block's
// time in a full wave the part `own` passes on its SM alone, the rest draws on what all SMs share
// (L2, memory) and goes with the blocks that run at once; communication that moves bytes takes
// `memory` of the shared part's rate. With h SMs held and c collectives moving, to time alone:
//   (own ceil(B/(S-h)) + (1-own) (B/S) / (1 - c memory)) / (own ceil(B/S) + (1-own) B/S)
// Source: H100, a GEMM of 132 blocks beside ncclAllGather's 24: 80 to 47 % of peak, "Compute-
// Communication Overlap Causes Severe GEMM Performance Degradation", NVIDIA developer forum 337991;
// `own` is fitted to that one figure (waves alone would say 40 %). memory: NVLink at its rate both
// ways over HBM's, 2 x 450 / 3350 GB/s of H100's data sheet; that it is 2 to 3 times the rate of
// the collective: nccl#1428. Leaves out: kernels of other shapes (all are as many blocks as SMs,
// as persistent ones are), caches, power, and what compute does to communication.
#include <cstdint>
#include <string>

namespace weft {

enum class OverlapModel : std::uint8_t { kIdeal, kSm, kCopyEngine };

struct Overlap {
    OverlapModel model = OverlapModel::kIdeal;
    std::uint32_t sms = 132;             // S
    std::uint32_t blocks = 132;          // B
    std::uint32_t held = 24;             // by one collective or message in flight
    std::int64_t own_ppb = 527'000'000;  // parts per billion
    std::int64_t memory_ppb = 270'000'000;
    bool operator==(const Overlap&) const = default;
};

/// What communicates on a rank at a moment.
struct Pressure {
    std::uint32_t arrived = 0;  // collectives and messages from arrival to end
    std::uint32_t moving = 0;   // those of them that all members have reached
    bool operator==(const Pressure&) const = default;
};

/// Time beside communication = time alone x num / den, num >= den > 0.
struct Slowdown {
    std::int64_t num = 1;
    std::int64_t den = 1;
};
[[nodiscard]] Slowdown slowdown(const Overlap& o, Pressure p);

/// "ideal", "sm", "copy-engine"; with figures: "sm:sms=132,blocks=132,held=24,own=52.7%,
/// memory=27%", "copy-engine:memory=20%". ConfigError without place.
[[nodiscard]] Overlap parse_overlap(const std::string& text);
[[nodiscard]] std::string to_string(const Overlap& o);

}  // namespace weft
