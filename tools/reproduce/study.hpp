#pragma once
// Repeats one Scenario over many hash seeds and states the spread. Used by `weft reproduce`.
// A gain of A over B is time(B) / time(A) - 1, seed by seed (the k-th seed of both).
#include <cstdint>
#include <string>
#include <vector>

#include "simulator/scenario.hpp"

namespace weft::tools {

/// Median and 5-95 % of a set of numbers (nearest rank).
struct Spread {
    double median = 0;
    double low = 0;
    double high = 0;
};
[[nodiscard]] Spread spread(std::vector<double> values);

struct Trial {
    const Fabric* fabric = nullptr;
    const Workload* workload = nullptr;
    std::size_t segments = 1;  // ranks split evenly over this many
    Library library;
    EndpointModel endpoint = EndpointModel::kCalibrated;
    std::vector<Failure> failures;
    HashSeeds hash_seeds = HashSeeds::kSame;
};

/// Step times in picoseconds for seeds 1..seeds, in seed order, whatever the threads.
[[nodiscard]] std::vector<double> step_times(const Trial& trial, std::uint32_t seeds,
                                             unsigned threads);

/// Seed by seed: slow[k] / fast[k] - 1.
[[nodiscard]] std::vector<double> gains(const std::vector<double>& slow,
                                        const std::vector<double>& fast);

/// "+63.2 % [+48.1, +99.0]"
[[nodiscard]] std::string percent(const Spread& s);

}  // namespace weft::tools
