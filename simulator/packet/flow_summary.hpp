#pragma once
// FlowSummary: what a FlowRun says in a few lines: completion times and slowdowns, by size.
//
// Models: completion = the sender knows that all has arrived, from the start; slowdown = completion
// over what the flow takes alone, at least 1 (HPCC, SIGCOMM 2019, figure 11). Percentiles are
// nearest ranks. Sizes are cut into up to 20 bins of equally many flows, never between flows of one
// size. Leaves out: flows that did not finish, which are counted.
#include <cstdint>
#include <vector>

#include "simulator/packet/flow_run.hpp"
#include "traces/results.hpp"

namespace weft::packet {

struct SizeBin {
    Bytes largest;
    std::size_t flows = 0;
    Percentiles slowdown_milli;
};

/// Flows of one tag.
struct FlowGroup {
    std::uint16_t tag = 0;
    std::size_t flows = 0;
    std::size_t finished = 0;
    std::size_t never_started = 0;
    Bytes bytes;  // of the finished ones
    Percentiles completion_ps;
    Percentiles slowdown_milli;
    std::vector<SizeBin> bins;
};

/// By tag, lowest first.
[[nodiscard]] std::vector<FlowGroup> summarize(const FlowSet& set, const FlowRun& run);
/// Completion over the time alone, in thousandths.
[[nodiscard]] std::int64_t slowdown_milli(const FlowTimes& t);

}  // namespace weft::packet
