#pragma once
// Troubles: failures that only packets see (loss, corrupt, delay, stuck), laid on a Network as time
// goes on.
#include <vector>

#include "simulator/packet/network.hpp"
#include "topology/failure.hpp"

namespace weft::packet {

class Troubles {
  public:
    /// Both outlive this.
    Troubles(const Fabric& fabric, const std::vector<Failure>& failures)
        : fabric_(&fabric), failures_(&failures) {}
    /// What is in force at `now` is laid, what is over is lifted.
    void apply(Network& network, SimTime now);

  private:
    const Fabric* fabric_;
    const std::vector<Failure>* failures_;
    std::vector<std::pair<LinkId, LinkTrouble>> laid_;
};

}  // namespace weft::packet
