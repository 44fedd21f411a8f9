#pragma once
// A Plan as JSON, out and in. What is read is bounded and of good form (collectives/plan/form.hpp);
// whether it computes its collective is the checker's to say, and nothing runs that it has not
// proved. Keys that are missing have the defaults of plan.hpp; a key that means nothing is an
// error. The format: docs/plans-as-data.md.
#include <string>
#include <string_view>

#include "collectives/plan/plan.hpp"

namespace weft {

constexpr std::size_t kMostPlanText = std::size_t{16} << 20;

/// One line a stage; reads back to the same Plan, and hash.
[[nodiscard]] std::string plan_to_json(const PlanTemplate& p);
/// ConfigError names `file`, the place in it, and what is wrong there.
[[nodiscard]] PlanTemplate plan_from_json(std::string_view text, const std::string& file = {});
/// plan_from_json, and proved by the checker; ConfigError in its words if it is not.
[[nodiscard]] PlanTemplate proved_plan_from_json(std::string_view text,
                                                 const std::string& file = {});

}  // namespace weft
