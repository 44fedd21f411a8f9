#pragma once
// A Plan by name: "allreduce/ring channels=2 slice=256KiB", an algorithm of the registry with its
// parameters, for a group's shape.
#include <string>
#include <string_view>

#include "collectives/algorithms/algorithm.hpp"

namespace weft {

struct PlanSpec {
    Collective collective = Collective::kAllReduce;
    std::string algorithm;   // the row's whole name
    AlgorithmParams params;  // channels as asked for; one where nothing was
};

/// ConfigError names the word that makes no sense.
[[nodiscard]] PlanSpec parse_plan_spec(std::string_view text);

}  // namespace weft
