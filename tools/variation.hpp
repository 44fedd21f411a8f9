#pragma once
// What `weft sim` and `weft replay` share about compute and chance: the flags --overlap, --jitter,
// --seeds and --jobs, and the run of many seeds.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "simulator/scenario.hpp"

namespace weft::tools {

struct VariationOptions {
    std::string overlap = "ideal";
    std::string jitter = "none";
    std::uint32_t seeds = 1;
    unsigned jobs = 0;  // 0: as many as the machine has cores
};

/// --overlap and --jitter: where there is compute.
void add_compute_flags(CLI::App& sub, VariationOptions& o);
/// --seeds and --jobs.
void add_seed_flags(CLI::App& sub, VariationOptions& o);
/// Lays --overlap and --jitter on a scenario.
void apply(const VariationOptions& o, Scenario& s);
/// Simulates a scenario, or --seeds of them: then the result is that of the seed with the median
/// step time, holds all of them and a band of 5 to 95 %.
[[nodiscard]] Result simulate_with_seeds(const VariationOptions& o, const Scenario& s,
                                         const ProgressSink& progress);

/// The scenario of which a Result of simulate_with_seeds() is the run.
[[nodiscard]] Scenario run_of(const Result& r, const Scenario& s);

}  // namespace weft::tools
