#pragma once
// Foreign golden results: the scenarios of ../shared/data/referee, and our engine with each
// referee's own parameters (referees.json beside them).
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "simulator/packet/flow_run.hpp"

namespace weft::tests {

/// Null where the data is absent.
[[nodiscard]] nlohmann::json read_scenario(const std::string& scenario);

[[nodiscard]] packet::PacketOptions referee_options(const std::string& referee,
                                                    const nlohmann::json& scenario);

/// Completion times in us, sorted; `seed` picks the flows where every seed has its own.
[[nodiscard]] std::vector<double> our_times(const nlohmann::json& scenario,
                                            const std::string& referee, std::size_t seed);
[[nodiscard]] std::vector<double> their_times(const nlohmann::json& scenario,
                                              const std::string& referee, std::size_t seed);
/// Seeds that the referee ran; one where all agree.
[[nodiscard]] std::size_t seeds_of(const nlohmann::json& scenario, const std::string& referee);

[[nodiscard]] double mean_of(const std::vector<double>& v);
/// Nearest rank; `sorted` not empty.
[[nodiscard]] double percentile_of(const std::vector<double>& sorted, double percent);

}  // namespace weft::tests
