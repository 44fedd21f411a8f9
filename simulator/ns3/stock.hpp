#pragma once
// run_stock: fixed-rate UDP flows on ns-3's own models, with no code of ours inside the simulation.
//
// Models: what ns-3 3.37 ships: PointToPointNetDevice and PointToPointChannel (store and forward,
// PPP header of 2 bytes), DropTailQueue, its IPv4 and UDP, UdpClient (one packet an interval) and
// UdpServer. Ours are static host routes: each flow has a destination address of its own and one
// route at every node of its path. Leaves out: everything that ns-3 does not put there: no PFC, no
// ACK, no congestion control. Cost: about 10 events of ns-3 a hop. Source: nsnam, ns-3 3.37.
//
// Plain types only: the other side is compiled as C++17, which ns-3's headers need with g++ 12, and
// neither includes the other's headers. ns-3's simulator and its time resolution are global: one
// run at a time in a process.
#include <cstdint>
#include <vector>

namespace weft::foreign {

/// One direction of a cable: links 2k and 2k + 1 are the two of one, of one rate and latency.
struct PlainLink {
    std::uint32_t from = 0;  // node
    std::uint32_t to = 0;
    std::int64_t bits_per_second = 0;
    std::int64_t latency_ps = 0;
};

/// A packet each interval from the start on, along links from the first node to the last.
struct PlainFlow {
    std::vector<std::uint32_t> links;
    std::uint32_t packets = 0;
    std::int64_t start_ps = 0;
    std::int64_t interval_ps = 0;
};

struct StockOptions {
    std::uint32_t payload = 4096;           // of UDP
    std::uint32_t queue_packets = 1000000;  // most in the queue of a device
};

struct StockRun {
    std::vector<std::int64_t> arrived_ps;  // the last packet of each flow; -1: it never came
    std::uint64_t received = 0;            // packets, by all applications
    std::uint64_t dropped = 0;             // by the queues of devices
    std::uint64_t hops = 0;                // packets over links
    std::uint64_t events = 0;
};

/// On the wire a packet is so much longer than its UDP payload: 2 PPP, 20 IPv4, 8 UDP.
constexpr std::uint32_t kStockHeader = 30;

/// Cables that no flow uses are left out.
StockRun run_stock(const std::vector<PlainLink>& links, const std::vector<PlainFlow>& flows,
                   const StockOptions& options);

}  // namespace weft::foreign
