#pragma once
// run.json: how, where and how fast a run was made; the one output that differs between equal runs.
#include <string>
#include <utility>
#include <vector>

namespace weft::tools {

/// `seconds` of wall clock by key: {"simulate_wall_s", 1.2}.
[[nodiscard]] std::string run_json(const std::vector<std::pair<std::string, double>>& seconds);

}  // namespace weft::tools
