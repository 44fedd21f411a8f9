#pragma once
// What the simulator says of a namespace fabric and of the Plans that the live library runs on it.
//
// Models: two rails and two planes a host, links at the rate that is left for data: of 9014 bytes
// of a full frame, as the shaper counts them, 8948 are data (Ethernet 14, IP 20, TCP 20 with 12 of
// timestamps). Flow engine, ideal endpoint: nothing is fitted. Leaves out: what hosts need beside
// the wire (processors, wake-ups), the shaper's burst of a millisecond, queues, and lanes that have
// nothing left to send at the end: sizes at which a link is not what limits are not predicted.
#include <cstdint>
#include <string>

#include "base/units.hpp"
#include "collectives/plan/plan.hpp"
#include "topology/fabric.hpp"

namespace weft::tools {

/// The fabric as Weft's own file format describes it.
[[nodiscard]] std::string fabric_text(std::uint32_t hosts, Bandwidth nic);
/// What is left of a NIC's rate for data.
[[nodiscard]] Bandwidth goodput(Bandwidth nic);
/// The Plan that the live library runs for one rank a host.
[[nodiscard]] PlanTemplate live_plan(Collective collective, Bytes size, std::uint32_t hosts);
/// How long the Plan takes there.
[[nodiscard]] SimDuration simulated_time(const Fabric& fabric, const PlanTemplate& plan,
                                         Bytes size);

}  // namespace weft::tools
