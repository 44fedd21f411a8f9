#pragma once
// Endpoint: what a collective costs outside the fabric: launch, dependent steps, bytes of protocol.
//
// Models: `ideal`, nothing (the wire's latency stays); `calibrated`, NCCL's published tuning model:
// a base latency and a cost per step by protocol (LL, LL128, Simple) and kind of step, the bytes LL
// and LL128 add, LL's most bus bandwidth (Hopper's), and what NICs and NVLink carry of their
// nominal rate. The protocol is the one with the least predicted time, as NCCL chooses. Leaves out:
// CTAs, proxy thread, plateaus, tuning per algorithm (ring's figures serve all), overlap with
// compute. Formula: docs/design/0001, "Endpoint". The published step includes the wire, which is
// counted again here (1 to 3 us of 14). Source: NCCL src/graph/tuning.cc (facts E1); SimAI calbusbw
// (facts A3).
#include <array>
#include <cstdint>
#include <string>

#include "simulator/flow/traffic.hpp"
#include "simulator/scenario.hpp"

namespace weft {

/// One protocol of the tuning model.
struct ProtocolCosts {
    const char* name;
    SimDuration base;
    flow::StepCosts steps;
    std::int64_t overhead_per_mille;  // wire bytes per payload byte
    /// The most bus bandwidth of a group on one host, two, and more; 0: what the links carry.
    std::array<std::int64_t, 3> most_bytes_per_s;
};

/// What one collective costs when it has the fabric to itself.
struct EndpointPrice {
    const ProtocolCosts* protocol = nullptr;
    SimDuration before;  // launch and fill
    SimDuration after;   // drain
    SimDuration total;   // with the bytes
};

/// The price of a collective under the protocol that makes it cheapest.
[[nodiscard]] EndpointPrice endpoint_price(EndpointModel model, const flow::Traffic& traffic,
                                           Bytes size, std::size_t lane_epoch);

/// What a link carries of its nominal rate.
[[nodiscard]] Bandwidth usable_rate(EndpointModel model, LinkKind kind, Bandwidth nominal);

/// One line per constant in use, for the report.
[[nodiscard]] std::vector<std::string> endpoint_assumptions(EndpointModel model);

}  // namespace weft
