#pragma once
// A scene: jobs on a fabric, run by the engine (simulate) and by the naive fluid simulation. Each
// job is one collective of one cell of a family of groups, all from time zero.
#include <string>
#include <vector>

#include "simulator/scenario.hpp"
#include "tests/support/naive_fluid.hpp"

namespace weft::tests {

struct Job {
    Collective kind = Collective::kAllReduce;
    Bytes size;  // tells the jobs of a scene apart, so unequal
};

struct Scene {
    std::string fabric;  // "hpn7:segments=1,hosts_per_segment=8"
    std::uint32_t ranks = 64;
    std::uint32_t segments = 0;  // spread evenly over so many; 0: packed
    Partition groups;            // cell j runs jobs[j]; absent: one group of all
    std::vector<Job> jobs;
    std::string algorithm;
    std::string library = "weft";
    std::uint32_t qps = 0;
    std::uint64_t seed = 1;
    std::uint32_t loops = 0;  // for the naive side, as in NaiveScenario
    std::uint32_t slices = 0;
};

/// A scene with its fabric built. Failures name links of `fabric`.
class Theatre {
  public:
    explicit Theatre(Scene scene);
    [[nodiscard]] const Fabric& fabric() const { return fabric_; }
    void fail(const Failure& f) { failures_.push_back(f); }

    /// Seconds by job.
    [[nodiscard]] std::vector<double> engine() const;
    [[nodiscard]] std::vector<double> naive() const;
    /// The engine's own answer in full, with symmetry used or not.
    [[nodiscard]] Result result(bool symmetry = true) const;
    [[nodiscard]] NaiveResult naive_result() const;

  private:
    [[nodiscard]] std::vector<RankId> members(std::uint32_t cell) const;

    Scene scene_;
    Fabric fabric_;
    Placement placement_;
    Workload workload_;
    std::vector<PlanTemplate> plans_;
    std::vector<Failure> failures_;
};

}  // namespace weft::tests
