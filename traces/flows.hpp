#pragma once
// FlowSet: traffic at the level of the network: who sends how many bytes to whom, and when or after
// what. What network-level inputs (htsim matrices, HPCC flow lists, generators) become, and what
// the packet engine runs without a Plan.
//
// Ends are GPUs of a fabric; a foreign host is a host of one GPU and one NIC. Triggers as htsim
// means them: a flow without a start waits for its trigger; a trigger is activated when a flow that
// names it is done. Leaves out: what the bytes are for (traces/workload.hpp).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"

namespace weft {

inline constexpr std::uint32_t kNoTrigger = ~std::uint32_t{0};
inline constexpr std::uint32_t kOwnConnection = ~std::uint32_t{0};

/// Tags by HPCC's convention.
inline constexpr std::uint16_t kBackgroundTag = 100;
inline constexpr std::uint16_t kIncastTag = 200;

struct FlowSpec {
    GpuId src;
    GpuId dst;
    Bytes size;
    SimTime start;                         // when `after` is kNoTrigger
    std::uint32_t after = kNoTrigger;      // index of the trigger that starts it
    std::uint32_t send_done = kNoTrigger;  // activated when all of it is acknowledged
    std::uint32_t recv_done = kNoTrigger;  // activated when all of it has arrived
    std::uint16_t tag = 0;                 // of the input, for grouping: background, incast
    /// Flows of one number are messages of one connection, in the order in which they start.
    std::uint32_t connection = kOwnConnection;
    /// The application offers its bytes at this rate, headers on the wire counted; 0: all at once.
    Bandwidth rate;
};

struct FlowTrigger {
    enum class Kind : std::uint8_t {
        kOneshot,    // the first activation starts all flows that wait for it
        kMultishot,  // each activation starts the next one, in the order of the input
        kBarrier,    // all of them after `count` activations
    };
    Kind kind = Kind::kOneshot;
    std::uint32_t count = 1;
};

struct FlowSet {
    std::vector<FlowSpec> flows;
    std::vector<FlowTrigger> triggers;
    std::vector<std::string> notes;  // what was assumed in reading, one sentence each
};

/// ConfigError where a flow's ends are not two of `gpus` GPUs.
void check_ends(const FlowSet& set, std::size_t gpus);

}  // namespace weft
