#pragma once
// run_flows: a FlowSet on the packet engine, without Plans.
//
// Models: one connection a flow (or one for all messages of a number), on the path that its 5-tuple
// hashes to (source ports are drawn from the seed) or spread by the switches; starts and triggers;
// failures: as routing learns of them, connections are hashed anew over what is left, and wait for
// their old path where nothing is.
// Leaves out: several queue pairs a flow.
#include <functional>
#include <vector>

#include "simulator/packet/network.hpp"
#include "topology/failure.hpp"
#include "traces/flows.hpp"

namespace weft::packet {

struct FlowTimes {
    SimTime start;         // never(): its trigger was not activated
    SimTime arrived;       // its last byte
    SimTime acknowledged;  // its sender knows
    SimDuration alone;     // what it would take on idle links: last ACK included
};

struct FlowRun {
    std::vector<FlowTimes> flows;  // in the order of the input
    Totals totals;
    SimTime end;
    std::uint64_t connections = 0;
};

/// The way of flow `f` of a set: its source port is drawn from the seed and its number. ConfigError
/// where there is none.
[[nodiscard]] Path flow_path(const Router& router, const FlowSpec& spec, std::uint32_t f,
                             std::uint64_t seed);

/// Everything given outlives the call. `look` is shown the network at the end.
[[nodiscard]] FlowRun run_flows(const Fabric& fabric, const FlowSet& set,
                                const PacketOptions& options,
                                const std::function<void(const Network&)>& look = {},
                                const std::vector<Failure>& failures = {});

}  // namespace weft::packet
