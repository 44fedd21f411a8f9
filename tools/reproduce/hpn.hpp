#pragma once
// `weft reproduce hpn`: the gains that HPN24 publishes, beside what Weft simulates under the
// assumptions of docs/reproduce/hpn-assumptions.md. Nothing is tuned; a miss is printed as a miss.
#include <cstdint>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "tools/reproduce/study.hpp"

namespace weft::tools {

/// One row: a configuration, what was simulated, and what the paper says of it.
struct Finding {
    std::string experiment;  // "E1"
    std::string setting;     // "256 GPUs, Q = 4"
    std::string quantity;    // "rails", "all-reduce", "rails, mechanism off"
    Spread value;            // a gain (E1, E2) or a change of throughput (E3)
    double paper_low = 0;    // the paper's range; equal when one figure; 0, 0 when it gives none
    double paper_high = 0;
    bool counterfactual = false;
    std::vector<double> by_seed;  // what `value` summarises, seed 1 first
};

/// "inside", "miss: below", "miss: above": 5-95 % of the seeds against the paper's range. For a
/// counterfactual "off" when its median is within 5 % of nothing, else "still on".
[[nodiscard]] std::string verdict(const Finding& f);

struct HpnOptions {
    std::uint32_t seeds = 100;
    unsigned threads = 1;
};

struct HpnReproduction {
    std::vector<Finding> findings;
    std::vector<std::string> warnings;
};
[[nodiscard]] HpnReproduction reproduce_hpn(const HpnOptions& options,
                                            const ProgressSink& progress);

/// The report as text for a terminal, at most 110 columns.
[[nodiscard]] std::string to_text(const HpnReproduction& r, const HpnOptions& options);
/// Every finding with its value for each seed, as fractions: .5 is +50 %.
[[nodiscard]] std::string to_json(const HpnReproduction& r, const HpnOptions& options);

}  // namespace weft::tools
