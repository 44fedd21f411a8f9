#pragma once
// Trust: does the simulation reproduce the job that was measured, and if not, which part misses?
//
// Models: the step and its parts, each simulated beside measured. Parts: compute; for each family
// and kind the sum over the measured ops of one rank (of the program that does most of it), each op
// at the simulated mean of its size; a family's time in flight and its exposed time and the bubble,
// where those were measured. The step less what the parts explain is a part of its own.
//   reproduced <=> |step error| and each part's |error| are at most `limit` of the step.
// A part's error counts in full even where it was hidden: on another fabric it may not be. Without
// a measured step the errors of the parts, added up, stand for the step's.
// Leaves out: single ops, the order of events, the spread of measured times.
#include "traces/results.hpp"
#include "traces/workload.hpp"

namespace weft {

/// Is any time measured besides those of compute ops, which every prediction takes over?
[[nodiscard]] bool has_measured_times(const Workload& w);

/// `r` is the simulation of `w` on the machine that ran it. `limit_ppm`: millionths of the step.
[[nodiscard]] Trust compare(const Workload& w, const Result& r, std::int64_t limit_ppm);

/// "reproduces your measured step within 2.3 % (471 ms simulated, 461 ms measured); TP allreduce
/// +12 %, compute 0 %". One line; empty when nothing is measured.
[[nodiscard]] std::string trust_line(const Trust& t);
/// A part that misses by more than the limit of itself, and by a hundredth of the step, where the
/// step is reproduced all the same: a warning for the prediction. Empty when there is none.
[[nodiscard]] std::string weak_line(const Trust& t);
/// "largest unexplained part: DP reducescatter, 380 ms more than simulated (38.8 % of the step)".
[[nodiscard]] std::string unexplained_line(const Trust& t);

}  // namespace weft
