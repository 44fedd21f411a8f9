#pragma once
// run_on_core: the flows of a FlowSet with links, queues and senders of our own, on ns-3's event
// core, and with our own congestion control (flow_control/cc).
//
// It proves the event core only: that the calendar, the pools and the one event a wire of
// simulator/packet change nothing of what a plain model does when ns-3's Simulator schedules it,
// one event for each end of a transmission and one for each arrival. It is no referee of congestion
// control, which is the same code on both sides, nor of what is modelled: stock.hpp is for that.
//
// Models: store and forward, control before data, queues without end, ECN, telemetry,
// notifications, ACKs that travel back, NICs that take their flows in turn, pacing and windows.
// Leaves out: loss and all that answers it, PFC, trimming, spraying, triggers, shared connections.
#include "simulator/packet/flow_run.hpp"

namespace weft::foreign {

/// Of `options` it looks at sizes, ACKs, congestion control with its marking, and the seed. Without
/// FlowTimes::alone, and of the totals events, hops, marks and what was sent and delivered.
/// ConfigError for a flow with a trigger or a connection of several. Not twice at a time.
[[nodiscard]] packet::FlowRun run_on_core(const Fabric& fabric, const FlowSet& set,
                                          const packet::PacketOptions& options);

}  // namespace weft::foreign
