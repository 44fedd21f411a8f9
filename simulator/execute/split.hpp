#pragma once
// The collectives of every rank, split into waiting for the last member and transferring.
//
// Models: of each collective op of a rank, waiting = start - ready and transferring = end - start
// (machine.hpp OpTimes), summed over its ops; integers, so the parts add up to the picosecond.
// Leaves out: messages between pipeline stages (a receive posted early waits for nothing that
// matters; what it costs is the bubble). Ranks are listed by what they spend and not by class, so
// the list is the same without symmetry. Cost: O(ops of one rank of each class + ranks).
#include <vector>

#include "simulator/execute/world.hpp"

namespace weft {

struct RankSplits {
    std::vector<RankSplit> rows;  // Result::rank_splits
    RankSplit typical;            // Result::typical_rank
};
[[nodiscard]] RankSplits rank_splits(const World& world, const Machine& machine);

}  // namespace weft
