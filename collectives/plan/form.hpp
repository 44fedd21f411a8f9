#pragma once
// Whether a Plan can be read at all: every size within bounds, every rank, position and unit that
// it names there. Asked before anything else of a Plan that comes as data; what it computes is the
// checker's question. Time and memory: of the listed transfers, and bounded.
#include <string>

#include "collectives/plan/plan.hpp"

namespace weft {

constexpr std::uint32_t kMostPlanRanks = 4096;
constexpr std::uint32_t kMostPlanUnits = 1U << 20;      // of a channel, times ranks
constexpr std::uint64_t kMostPlanTransfers = 1U << 22;  // of all ranks, channels and stages

/// In one line, where it is not so; empty: it can be read, and the checker may be asked.
[[nodiscard]] std::string fault_of_form(const PlanTemplate& p);

}  // namespace weft
