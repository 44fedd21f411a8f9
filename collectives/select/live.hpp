#pragma once
// Which Plan Weft's own library runs: a pure function of (collective, size, group shape), so that
// all ranks choose alike without a word. Hosts reached over several planes get Plans whose channels
// are pinned to none: the runtime spreads slices over lanes by what they carry.
// Leaves out: cost models and measurements (the planner of simulator/execute has them).
#include <string>

#include "collectives/algorithms/algorithm.hpp"

namespace weft {

struct LiveChoice {
    std::string algorithm;  // name within the collective
    AlgorithmParams params;
    std::string why;  // in words
    /// A tree takes every rank of a host for itself, instead of chains within hosts.
    bool tree_of_ranks = false;
    /// Sizes of equal bucket get equal choices.
    std::uint32_t bucket = 0;
};

/// `total`: nccl-tests size. `wanted`: an algorithm's name, or empty.
[[nodiscard]] LiveChoice choose_live(Collective collective, Bytes total, const GroupShape& shape,
                                     std::uint32_t root, const std::string& wanted = {});
/// Builds it, its channels pinned to no rail or plane.
[[nodiscard]] PlanTemplate build_live(Collective collective, const LiveChoice& choice,
                                      const GroupShape& shape);

}  // namespace weft
