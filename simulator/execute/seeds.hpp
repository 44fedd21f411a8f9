#pragma once
// Seeds: the same scenario under many seeds, for the distribution of its step time.
//
// Models: nothing of its own; run i has the scenario's seed + i. Leaves out: everything but a few
// figures of each run (run the seed again for the rest). Runs share nothing but what a Scenario
// points to, which nobody writes; the list is the same whatever the number of threads.
#include <cstdint>
#include <vector>

#include "simulator/scenario.hpp"

namespace weft {

[[nodiscard]] std::vector<SeedRun> simulate_seeds(const Scenario& s, std::uint32_t count,
                                                  unsigned threads,
                                                  const ProgressSink& progress = {});

}  // namespace weft
