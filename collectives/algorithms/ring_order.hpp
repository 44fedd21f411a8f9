#pragma once
// The order in which a rank-spanning ring visits ranks. On equal hosts, channel c enters an even
// host at local GPU c and leaves it at c - 1 (mod g); it walks odd hosts the other way, so that
// each edge between hosts stays on one rail: c - 1 from even to odd, c from odd to even. With an
// odd number of hosts above 1 the closing edge, from the last host to the first, crosses from rail
// c - 1 to rail c: a ring of an odd number of hosts that enters and leaves each host at different
// GPUs must cross once. kSameWay: every host is entered at c and left at c - 1. Elsewhere (unequal
// hosts, one rank a host): plain rank order.
#include "collectives/algorithms/algorithm.hpp"

namespace weft::algorithms {

[[nodiscard]] Partition ring_order(const GroupShape& shape, std::uint32_t channel,
                                   RingWalk walk = RingWalk::kAlternating);
/// One channel per local GPU, so that each rail carries one ring's edge at every host boundary.
[[nodiscard]] std::uint32_t ring_channels(const GroupShape& shape, const AlgorithmParams& params);
/// An empty template with its channels' common fields set.
[[nodiscard]] PlanTemplate blank(const char* name, Collective collective, const GroupShape& shape,
                                 const AlgorithmParams& params, std::uint32_t channels,
                                 std::uint32_t units);

}  // namespace weft::algorithms
