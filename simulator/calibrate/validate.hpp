#pragma once
// Validate: every published curve and decision against what Weft says, beside two null models.
//
// Null models, fitted on the same points as the machine's profile: a line, time = a + b x with x
// the bytes that bus bandwidth counts; the textbook's, time = a (dependent steps of a ring) + b x;
// one of each per machine, collective, and one host or several. And NCCL's own tuning model, fitted
// by its authors. A model that does not beat a straight line is not a model.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "simulator/calibrate/evaluate.hpp"

namespace weft {

/// One row of a curve: what was measured, and what each model says of it.
struct ValidatedPoint {
    Bytes size;
    SimDuration measured;
    SimDuration simulated;
    SimDuration low;   // 5 to 95 % by the ranges of the machine's figures; equal to
    SimDuration high;  // `simulated` where no bands were asked for
    std::optional<SimDuration> line;
    std::optional<SimDuration> steps;
    std::optional<SimDuration> nccl;
    std::string carried;  // "ring/LL"
};

struct ValidatedCase {
    const MeasuredCase* measured = nullptr;
    std::string machine;  // the profile that predicted it
    std::string problem;  // why it was not simulated; empty when it was
    std::string beyond;   // what of it the profile was not fitted to (endpoint/fitted.hpp)
    std::vector<ValidatedPoint> points;
};

struct ValidatedDecision {
    const Decision* decision = nullptr;
    std::string problem;
    SimDuration a;
    SimDuration b;
    bool right = false;
};

/// Errors of one model over some points: parts of the measured time.
struct ErrorSummary {
    std::size_t points = 0;
    double median = 0;
    double p90 = 0;
    double worst = 0;  // with its sign
    std::string worst_at;
};

struct Validation {
    std::vector<ValidatedCase> cases;
    std::vector<ValidatedDecision> decisions;
};

/// The cases that shall have bands: two simulations more for every figure.
using WantsBands = std::function<bool(const MeasuredCase&)>;
/// Simulates everything in `all` with these profiles. The result points into `all`, which
/// must outlive it.
[[nodiscard]] Validation validate_measurements(const Measurements& all,
                                               const std::vector<MachineProfile>& profiles,
                                               const WantsBands& bands = {},
                                               EndpointModel endpoint = EndpointModel::kCalibrated);
Validation validate_measurements(Measurements&& all, const std::vector<MachineProfile>& profiles,
                                 const WantsBands& bands = {},
                                 EndpointModel endpoint = EndpointModel::kCalibrated) = delete;

enum class Model : std::uint8_t { kWeft, kLine, kSteps, kNccl };
[[nodiscard]] const char* name_of(Model m);
/// What a model says of a point; none where it says nothing.
[[nodiscard]] std::optional<SimDuration> said_by(const ValidatedPoint& p, Model m);
/// (said - measured) / measured.
[[nodiscard]] double error_of(SimDuration said, SimDuration measured);

/// Below this, a time is mostly launch: told apart.
inline constexpr Bytes kLeastCounted{64 * 1024};
enum class Sizes : std::uint8_t { kCounted, kSmall, kAll };
/// Over the points of `use` and of these sizes; of one collective, or of all.
[[nodiscard]] ErrorSummary summarise(const Validation& v, Model model, Use use,
                                     std::optional<Collective> collective = {},
                                     Sizes sizes = Sizes::kCounted);

}  // namespace weft
