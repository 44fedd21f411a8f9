#pragma once
// Ns-3 as a referee: the flows of a FlowSet over the paths that run_flows() takes, by ns-3 itself.
//
// run_udp: ns-3's own devices, queues and UDP (stock.hpp): referee for links, queues and headers.
// Every flow needs a rate, a start of its own and a size of whole packets; queues never drop unless
// `queue_packets` says so. Leaves out: triggers, connections of several flows, congestion control,
// PCIe and scale-up links. One run at a time in a process: ns-3's simulator is global.
#include "simulator/ns3/stock.hpp"
#include "topology/fabric.hpp"
#include "traces/flows.hpp"

namespace weft::foreign {

struct UdpOptions {
    Bytes payload{4096};  // of a packet; kStockHeader comes on top
    std::uint32_t queue_packets = 1'000'000;
    std::uint64_t seed = 1;  // of the paths, as PacketOptions has it
};

/// ConfigError for a flow that UDP at a fixed rate cannot carry exactly. `fabric` outlives the run.
[[nodiscard]] StockRun run_udp(const Fabric& fabric, const FlowSet& set, const UdpOptions& options);

}  // namespace weft::foreign
