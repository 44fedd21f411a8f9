#pragma once
// Fit: the figures of a machine from measured curves.
//
// Models: each point's error is e = (t - m) / sqrt(t m), t simulated and m measured, so that half
// and double weigh alike; the figures x minimise sum of w (e / sigma)^2 + sum of ((x - x0) / s)^2,
// where x0 is NCCL's constant and s how far from it is believable (times: by a factor of three):
// what the data do not determine stays there, and is named. sigma is 5 % (runs of nccl-tests repeat
// to a few per cent, and small times are printed with two digits). w lets single wrong rows pull
// little (Huber). Levenberg and Marquardt's method with differences for derivatives. A figure's
// range is 1.645 standard deviations of the linear model around the answer, widened where the fit
// is worse than sigma. Leaves out: errors that all points share (a wrong clock). Deterministic: + -
// * / sqrt only.
#include <functional>
#include <string>
#include <vector>

#include "simulator/calibrate/evaluate.hpp"
#include "simulator/endpoint/profile.hpp"

namespace weft {

/// One point of the input after the fit.
struct FittedPoint {
    std::size_t which = 0;  // case
    std::size_t point = 0;
    double error = 0;      // (simulated - measured) / measured
    bool outlier = false;  // stands apart from its neighbours on the curve
    double apart = 0;      // by so much, as a part of the measured time
};

/// What the input says about one figure.
struct FittedCost {
    Cost cost;
    bool determined = false;  // the range is at most half of what was believable before
    Bytes least_size;         // sizes that carry nine tenths of what is known
    Bytes most_size;
};

struct Fit {
    MachineProfile profile;
    std::vector<FittedPoint> points;
    std::vector<FittedCost> costs;
    double median_error = 0;  // of |error|
    double worst_error = 0;
    int rounds = 0;
};

/// Times of all points of all cases under a profile, in order.
using Simulate = std::function<std::vector<SimDuration>(const MachineProfile&)>;

/// `start` names the result and holds the figures that are not fitted.
[[nodiscard]] Fit fit_profile(const std::vector<const MeasuredCase*>& cases,
                              const Simulate& simulate, const MachineProfile& start);
/// The same with the flow engine.
[[nodiscard]] Fit fit_profile(const std::vector<const MeasuredCase*>& cases,
                              const MachineProfile& start);

/// Middle value; of an even number, the mean of the two. 0 of none.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace weft
