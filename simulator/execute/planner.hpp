#pragma once
// Planner: which Plan a group runs for a collective of a size, as a library chooses it.
//
// Models: the Plan that the Scenario brings, where it fits; the algorithm it names, where that
// serves the collective; else the cheapest of the candidates by launch + fill + bytes alone on the
// fabric + drain, decided once per shape of group on the first group of that shape. Leaves out:
// tables of measured thresholds (NCCL's tuner plugins). A group's shape, not its health, decides: a
// broken link does not change the algorithm.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collectives/plan/plan.hpp"
#include "simulator/scenario.hpp"

namespace weft {

struct PlannedCollective {
    PlanTemplate plan;
    std::uint64_t key = 0;
};

class Planner {
  public:
    explicit Planner(const Library& library) : library_(library) {}

    /// Names of algorithms that can serve, the default first; never empty.
    [[nodiscard]] std::vector<std::string> candidates(Collective kind,
                                                      const GroupShape& shape) const;
    /// The plan of an algorithm for a shape; made once.
    const PlannedCollective& plan(Collective kind, const std::string& algorithm,
                                  const GroupShape& shape);

  private:
    /// The Plan that the library brings serves such a group.
    [[nodiscard]] bool brings(Collective kind, const GroupShape& shape) const;
    Library library_;
    std::map<std::string, std::unique_ptr<PlannedCollective>> made_;
};

}  // namespace weft
