#pragma once
// What makes a Plan one whose exchanges inside a host the scale-up switch carries (NVLS).
#include "collectives/plan/plan.hpp"

namespace weft::algorithms {

/// Marks every Direct stage in network, and drops stages over cells of one rank, so that on one
/// host scatter and gather are one phase. With a marked stage left the order of reduction is open.
[[nodiscard]] PlanTemplate in_network(PlanTemplate p);

}  // namespace weft::algorithms
