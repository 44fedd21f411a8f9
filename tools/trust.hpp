#pragma once
// The trust line of `weft replay`: the flags that say what was measured and where, and the words.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "traces/results.hpp"
#include "traces/workload.hpp"

namespace weft::tools {

/// Not reproduced, and no --predict-anyway: nothing is predicted and nothing written.
inline constexpr int kExitNotReproduced = 3;

struct TrustOptions {
    std::string measured;          // a file of measured times
    std::string measured_step;     // by hand
    std::string measured_on;       // fabric that ran the job; empty: the one asked about
    std::string measured_library;  // empty: the one asked about
    std::uint32_t measured_gpus = 0;
    std::string limit = "10%";
    bool predict_anyway = false;

    [[nodiscard]] bool any_times() const { return !measured.empty() || !measured_step.empty(); }
};

void add_trust_flags(CLI::App& sub, TrustOptions& o);
/// "7.5%" in millionths.
[[nodiscard]] std::int64_t parse_limit(const std::string& text);
/// Lays the measured times of the flags on the workload.
void lay_measured_times(const TrustOptions& o, Workload& w);

[[nodiscard]] bool refused(const Trust& t);
/// The first line of every answer; `endpoint` names the model of endpoint costs, `machine` whose
/// figures it has.
[[nodiscard]] std::string first_line(const Trust& t, const std::string& endpoint,
                                     const std::string& machine);
/// One line: why nothing is predicted, and how to have it all the same.
[[nodiscard]] std::string refusal(const Trust& t);

}  // namespace weft::tools
