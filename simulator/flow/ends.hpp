#pragma once
// Ends: what the two ends of a Plan's edges handle, whatever the size: messages over NICs, queue
// pairs, bytes through one channel's thread block, bytes over one connection.
//
// Models: each the most over ranks, channels or connections. A thread block counts what it sends;
// in a tree, which reads once and writes to each child, once a stage; where a switch reduces, the
// whole of its data once a stage (in to the switch's buffer, or out). Leaves out: NICs that several
// GPUs share, and the relay of PXN, whose messages count as its source's.
// Cost: O(1) an edge.
#include <cstdint>
#include <vector>

#include "simulator/flow/legs.hpp"

namespace weft::flow {

struct Ends {
    std::uint64_t network_units = 0;       // sent and received by one rank over NICs, all channels
    std::uint64_t queue_pairs = 0;         // of one rank, both ways
    std::int64_t block_bytes_per_gib = 0;  // through the thread block of one channel
    std::int64_t connection_bytes_per_gib = 0;  // over one connection between NICs
    std::int64_t network_rate = 0;              // bit/s of the slowest, alone; 0: none
    SimDuration network_latency;                // of the path of the slowest, one way
};

/// Counts while the edges of an epoch are visited, channel by channel and stage by stage.
class EndCounter {
  public:
    void begin(std::uint32_t ranks);
    void begin_channel(std::uint32_t phases);
    void begin_stage(bool tree);
    /// An edge between group ranks, its units and its lanes.
    void edge(std::uint32_t from, std::uint32_t to, std::uint64_t units, const EdgeLanes& lanes);
    /// A switch carries a cell: units that pass each member's thread block.
    void switched(std::uint64_t units) { once_ = std::max(once_, units); }
    /// Ring stages of one phase are the same connections.
    void end_stage(std::uint32_t phase, bool ring);
    /// The channel holds `weight` of `all` parts of the data, cut in `units`.
    void end_channel(Int128 weight, Int128 all, std::uint32_t units);
    [[nodiscard]] const Ends& end();

  private:
    Ends ends_;
    std::vector<std::uint64_t> network_;     // by rank, all channels
    std::vector<std::uint64_t> pairs_;       // by rank
    std::vector<std::uint64_t> sent_;        // by rank, of the channel
    std::vector<std::uint64_t> connection_;  // by phase, of the channel
    std::uint64_t blocks_ = 0;               // units that pass every thread block of the channel
    std::uint64_t once_ = 0;                 // the same, of the stage
    std::uint64_t longest_ = 0;              // units over one connection, of the stage
    bool tree_ = false;
};

}  // namespace weft::flow
