#pragma once
// What a graph library does well, over a Fabric: maximum flow and connectivity (Boost.Graph, which
// no other file includes). Whole-network questions for descriptions and tests; no engine calls
// these.
//
// Models: every healthy link as a directed edge of its capacity. Flow between sets of hosts enters
// and leaves at NIC ports, so that PCIe and scale-up links do not count. Cost: the graph has the
// switches alone as vertices (NIC ports become edges of the source and the sink); push-relabel on a
// 15,360-GPU pod takes tens of milliseconds.
#include <vector>

#include "topology/fabric.hpp"

namespace weft {

/// The most that the NICs of hosts [0, split) can send to those of hosts [split, hosts()) at once.
[[nodiscard]] Bandwidth max_flow_between(const Fabric& fabric, std::size_t split,
                                         const Health& health);

/// max_flow_between() of the two halves of the hosts, in host order: the bisection.
[[nodiscard]] Bandwidth bisection(const Fabric& fabric, const Health& health);

/// Number of connected parts of all devices over links that are up in both directions.
[[nodiscard]] std::size_t connected_parts(const Fabric& fabric, const Health& health);

}  // namespace weft
