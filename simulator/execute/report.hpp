#pragma once
// Report: what happened in a finished run, as a Result.
//
// Models: the accounting on the slowest rank (compute, and per family: in flight, of that exposed,
// of that waiting for members), links, bounds, the timeline of the slowest rank and of one rank per
// program. A collective is in flight from this rank's arrival to its end; a message from when both
// sides are there, so that waiting for the other side of a send is bubble. Leaves out: drawing.
#include "simulator/execute/world.hpp"

namespace weft {

[[nodiscard]] Result make_result(const Scenario& s, const World& world, const Machine& machine);

}  // namespace weft
