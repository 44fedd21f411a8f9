#pragma once
// Endpoint: what a collective costs outside the fabric: launch, dependent steps, bytes of protocol.
//
// Models: `ideal`, nothing (the wire's latency stays); `calibrated`, NCCL's published tuning model:
// a base latency and a cost per step by protocol (LL, LL128, Simple) and kind of step, the bytes LL
// and LL128 add, and what NICs and NVLink carry of their nominal rate. The protocol is the one with
// the least predicted time, as NCCL chooses. Leaves out: CTAs, proxy thread, plateaus, tuning per
// algorithm (ring's figures serve all), overlap with compute. Formula: time = base + sum of steps +
// bytes x overhead / rate. The published step includes the wire, which is counted again here (1 to
// 3 us of 14). Source: NCCL src/graph/tuning.cc (facts E1); SimAI calbusbw (facts A3).
#include <cstdint>
#include <string>

#include "simulator/flow/edges.hpp"
#include "simulator/flow/traffic.hpp"
#include "simulator/scenario.hpp"

namespace weft {

struct ProtocolCosts {
    const char* name;
    SimDuration base;
    SimDuration scale_up_step;
    SimDuration network_step;
    std::int64_t overhead_per_mille;  // wire bytes per payload byte
};

/// What one launch costs.
struct EndpointPrice {
    const char* protocol = "";
    SimDuration launch;
    flow::StepCosts steps;
    std::int64_t overhead_per_mille = 1000;
};

/// The price of a collective whose bytes alone take `flow`.
[[nodiscard]] EndpointPrice endpoint_price(EndpointModel model, const flow::Fill& fill,
                                           SimDuration flow);

/// A time of bytes with a protocol's overhead.
[[nodiscard]] SimDuration inflated(SimDuration flow, std::int64_t overhead_per_mille);

/// What a link carries of its nominal rate.
[[nodiscard]] Bandwidth usable_rate(EndpointModel model, LinkKind kind, Bandwidth nominal);

/// One line per constant in use, for the report.
[[nodiscard]] std::vector<std::string> endpoint_assumptions(EndpointModel model);

}  // namespace weft
