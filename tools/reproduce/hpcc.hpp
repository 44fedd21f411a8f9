#pragma once
// `weft reproduce hpcc`: flow completion times under four congestion controls, after HPCC (SIGCOMM
// 2019), section 5.3 and figure 11.
//
// Models: 320 hosts of 100 Gbps under a three-tier fat tree of 400 Gbps links (20 ToRs, 20
// aggregation switches, 16 cores, 1 us a link), packets of 1000 B, PFC, 32 MB a switch, an ACK a
// packet; WebSearch traffic at 50 %, and at 30 % with 60-to-1 incasts of 500 KB at 2 % of the
// capacity. Each congestion control at its own defaults (flow_control/cc); DCQCN with the
// vendor's set, as HPCC's runs have it. Leaves out: telemetry's bytes in HPCC's packets.
#include <string>
#include <vector>

#include "base/log.hpp"
#include "simulator/packet/flow_summary.hpp"

namespace weft::tools {

struct HpccOptions {
    SimDuration time = ms(5);  // flows start within it
    std::uint64_t seed = 1;
    unsigned threads = 1;
};

/// One traffic under one congestion control.
struct HpccRun {
    std::string traffic;  // "websearch:load=50%,..."
    std::string control;  // "dcqcn:set=vendor"
    std::vector<packet::FlowGroup> groups;
    Percentiles short_slowdown_milli;  // of background flows up to kShortFlow
    std::uint64_t pauses = 0;
    Bytes fullest_switch;
};
inline constexpr Bytes kShortFlow{30'000};

/// By traffic, then by control. The result does not depend on the threads.
[[nodiscard]] std::vector<HpccRun> reproduce_hpcc(const HpccOptions& options,
                                                  const ProgressSink& progress);
/// The fabric, in the form of htsim (topology/io/htsim).
[[nodiscard]] const char* hpcc_topology();

/// "dcqcn" of "dcqcn:set=vendor".
[[nodiscard]] std::string short_name(const HpccRun& r);
[[nodiscard]] std::string to_text(const std::vector<HpccRun>& runs);
/// Schema weft/reproduce-hpcc/1.
[[nodiscard]] std::string to_json(const std::vector<HpccRun>& runs, const HpccOptions& options);
/// p99 of the slowdown over the size: one plot a traffic, below each other.
[[nodiscard]] std::string to_svg(const std::vector<HpccRun>& runs);

}  // namespace weft::tools
