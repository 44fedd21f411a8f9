#pragma once
// CaseModel: a measured curve, ready to be simulated with any machine's figures.
//
// Models: the hosts of the case behind switches that never block (`hosts` family), one collective
// of each size after the other, all ranks arriving together, as nccl-tests measures. Leaves out:
// the real switches between the hosts and what else ran on them. Cost: one simulation of all sizes
// per evaluation.
#include <memory>
#include <optional>
#include <vector>

#include "simulator/scenario.hpp"
#include "traces/measurements/measurement.hpp"

namespace weft {

class CaseModel {
  public:
    /// ConfigError when the case names a host, library or algorithm that Weft does not have.
    explicit CaseModel(const MeasuredCase& measured,
                       EndpointModel endpoint = EndpointModel::kCalibrated);

    [[nodiscard]] const MeasuredCase& measured() const { return *measured_; }
    /// By point of the case.
    [[nodiscard]] std::vector<SimDuration> times(const MachineProfile& machine) const;
    /// What NCCL's own tuning model says, by point; none for other libraries and point to point.
    [[nodiscard]] std::vector<std::optional<SimDuration>> predicted_by_nccl() const;
    /// How each point was carried: "ring/LL, 24 channels"; by point of the case.
    [[nodiscard]] std::vector<std::string> carried() const;

  private:
    const MeasuredCase* measured_;
    std::unique_ptr<Fabric> fabric_;  // both stay where they are: the scenario points at them
    std::unique_ptr<Workload> workload_;
    Scenario scenario_;
};

/// The fabric of a setup.
[[nodiscard]] Fabric fabric_of(const MeasuredSetup& setup);
/// The library model that stands for a published version: "nccl-2.20" is carried as nccl-2.18.
[[nodiscard]] Library library_of(const MeasuredSetup& setup);

}  // namespace weft
