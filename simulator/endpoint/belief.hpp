#pragma once
// Belief: how far from NCCL's published constant a machine's figure may be before anything is
// measured on that machine. The fit starts from it, and what nothing has determined keeps it.
//
// Models: u standard deviations from the constant: times by a factor of three (1 + 2 u above,
// 1 / (1 - 2 u) below), rates and what has no constant by so much. Leaves out: that the figures of
// one machine go together. Source: none; a judgement, wide on purpose.
#include "simulator/endpoint/profile.hpp"

namespace weft {

/// Standard deviations from the middle to 5 % and to 95 %.
inline constexpr double kNinety = 1.645;

/// One deviation in the figure's own unit; 0: published for one generation and never fitted.
[[nodiscard]] double prior_width(Cost c);
/// The figure at u deviations from NCCL's constant; and the other way.
[[nodiscard]] double figure_at(Cost c, double u);
[[nodiscard]] double widths_at(Cost c, double value);
/// `at` deviations give or take 1.645 x `wide`, inside what can be believed at all, as a range
/// around e.value.
void set_range(Estimate& e, Cost c, double at, double wide);

}  // namespace weft
