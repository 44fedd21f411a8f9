#pragma once
// The registry of algorithms: a name, a sentence, the textbook form, the paper, and a builder from
// a group's shape to a PlanTemplate. Rows are filled in builtin.cpp; names are
// "collective/algorithm". Every builder works for every n >= 1; one that needs equal hosts throws
// ConfigError without them (hierarchical) or falls back to plain rank order (rings, rail-aligned
// all-to-all).
#include <cstdint>
#include <string>

#include "base/registry.hpp"
#include "base/units.hpp"
#include "collectives/plan/plan.hpp"
#include "topology/placement.hpp"

namespace weft {

/// How a ring of several hosts walks them: every other one backwards, so that edges between hosts
/// stay on a rail; or all the same way, as NCCL's do, which cross to the next rail at each host.
enum class RingWalk : std::uint8_t { kAlternating, kSameWay };

struct AlgorithmParams {
    std::uint32_t channels = 0;  // 0: the algorithm's own default
    std::uint32_t root = 0;      // of the collectives that have one
    std::uint32_t slots = 8;
    Bytes slice{512 * 1024};
    std::uint32_t loops = 4;  // hierarchical: slice loops when the size allows
    RingWalk ring_walk = RingWalk::kAlternating;
};

using BuildPlan = PlanTemplate (*)(const GroupShape& shape, const AlgorithmParams& params);

struct Algorithm {
    Collective collective = Collective::kAllReduce;
    std::string steps;  // dependent steps of one slice loop, in n, k hosts, g ranks a host
    std::string bytes;  // sent per rank, S the nccl-tests size
    std::string time;   // alpha-beta form
    BuildPlan build = nullptr;
    bool on_request = false;  // only where a library or a user names it
};

[[nodiscard]] const Registry<Algorithm>& builtin_algorithms();
/// The row named "collective/name"; an empty name is the collective's default (its first row, which
/// works for every shape). ConfigError lists what there is.
[[nodiscard]] const Registry<Algorithm>::Row& find_algorithm(Collective c, const std::string& name);
/// find_algorithm, and build.
[[nodiscard]] PlanTemplate build_plan(Collective c, const std::string& name,
                                      const GroupShape& shape, const AlgorithmParams& params = {});
/// "allreduce", "all-reduce", "all_reduce"... ConfigError otherwise.
[[nodiscard]] Collective parse_collective(const std::string& text);

}  // namespace weft
