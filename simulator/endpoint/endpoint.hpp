#pragma once
// Endpoint: what a collective costs outside the fabric: launch, dependent steps, bytes of protocol.
//
// Models: `ideal`, nothing (the wire's latency stays); `calibrated`, NCCL's tuning model with the
// figures of a MachineProfile: a launch and a cost per dependent step by protocol (LL, LL128,
// Simple) and kind of step, the bytes LL and LL128 add, LL's most bus bandwidth, what links carry
// of their nominal rate, a cost per message of a direct exchange, and the first chunks of a
// pipeline; `detailed`, each mechanism by itself (detailed.hpp). The protocol is the one the
// library names, else the one with the least predicted time. `calibrated` leaves out: thread
// blocks, proxy thread, tuning per algorithm, overlap with compute. Formula: docs/design/0001,
// "Endpoint". The published step includes the wire, which is counted again here (1 to 3 us of 14).
// Source: NCCL src/graph/tuning.cc (facts E1); SimAI calbusbw (facts A3).
#include <cstdint>
#include <optional>
#include <string>

#include "collectives/select/protocol.hpp"
#include "simulator/flow/traffic.hpp"
#include "simulator/scenario.hpp"

namespace weft {

/// What one collective costs when it has the fabric to itself.
struct EndpointPrice {
    const char* protocol = "ideal";
    std::int64_t overhead_per_mille = 1000;  // wire bytes per payload byte
    SimDuration launch;
    flow::StepCosts steps;
    SimDuration entry;   // launch and messages, before the first byte
    SimDuration before;  // that and the fill
    SimDuration least;   // of bytes and drain together: the protocol's most bus bandwidth
    SimDuration after;   // drain
    SimDuration total;   // with the bytes
    /// What of the named figures' time the machine's own curves leave (remainder.hpp); applied.
    std::int64_t remainder_per_mille = 1000;
    bool at_wire = false;  // less was measured than links at their nominal rate allow: held there
};

/// The price of a collective under the protocol the library forces, else the cheapest.
[[nodiscard]] EndpointPrice endpoint_price(const Scenario& s, const flow::Traffic& traffic,
                                           Bytes size, std::size_t lane_epoch,
                                           std::optional<WireProtocol> forced = {});

/// What the machine's own curves leave of this collective's time; nullptr where none is like it.
[[nodiscard]] const Remainder* remainder_of(const Scenario& s, const flow::Traffic& traffic);

/// What a link carries of its nominal rate.
[[nodiscard]] Bandwidth usable_rate(const Scenario& s, LinkKind kind, Bandwidth nominal);

/// How much longer than other bytes those take on a scale-up link that the switch reduces or
/// multicasts.
[[nodiscard]] std::int64_t in_network_per_mille(const Scenario& s);

/// One line per constant in use, for the report.
[[nodiscard]] std::vector<std::string> endpoint_assumptions(const Scenario& s);

}  // namespace weft
