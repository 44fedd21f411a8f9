#pragma once
// Band: how far a simulated time can be off by the ranges of a machine's figures.
//
// Models: each figure of the MachineProfile is set to its low and its high end (5 and 95 %) with
// all others at their values; what shortens a time and what lengthens it are added apart, each as
// the root of the sum of squares. A figure that changes nothing, or has no range, takes no part.
// The model's own error is one more part: what nine in ten of the rows lie within that the figures
// were fitted to, of the time that figures decide. Leaves out: that figures fitted together are
// correlated (an error of the launch is often made up for by the step's), that the model errs more
// on machines and scales not fitted (docs/accuracy.md says by how much), and compute times.
// Formula: GUM (JCGM 100:2008) 5.1.2, with differences for derivatives. Cost: two simulations a
// figure that has a range. Deterministic: integers, and sqrt.
#include <functional>
#include <vector>

#include "simulator/scenario.hpp"
#include "traces/results.hpp"

namespace weft {

/// Several times under a machine's figures, always the same ones in the same order.
using TimesUnder = std::function<std::vector<SimDuration>(const MachineProfile&)>;

/// A band around each of `middle`, the times under `m` itself, of which figures decide `decided`.
[[nodiscard]] std::vector<Band> bands_by_figures(
    const MachineProfile& m, const std::vector<SimDuration>& middle,
    const std::vector<SimDuration>& decided, const TimesUnder& times,
    EndpointModel endpoint = EndpointModel::kCalibrated);
/// The band of the step time of a scenario's result; communication that is not hidden is decided.
[[nodiscard]] Band band_by_figures(const Scenario& s, const Result& r,
                                   const ProgressSink& progress = {});

}  // namespace weft
