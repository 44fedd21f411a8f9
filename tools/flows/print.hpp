#pragma once
// How a run of flows is shown: text for people, result.json, flows.csv.
#include <string>
#include <vector>

#include "simulator/packet/flow_summary.hpp"
#include "simulator/packet/options.hpp"

namespace weft::tools {

struct FlowReport {
    const Fabric* fabric = nullptr;
    const FlowSet* set = nullptr;
    const packet::FlowRun* run = nullptr;
    packet::PacketOptions options;
    std::vector<Failure> failures;
    std::string input;                      // "incast.cm", "websearch:load=50%"
    std::vector<packet::FlowGroup> groups;  // of `set` and `run`
    Bytes fullest_switch;                   // the most that one held
    PacketSummary packets;
};

[[nodiscard]] std::string flows_text(const FlowReport& r);
/// Schema weft/flows/1: integers with their units in the keys; equal runs give equal bytes.
[[nodiscard]] std::string flows_json(const FlowReport& r);
/// One self-contained page: queues, completion times, pauses (tools/report draws them).
[[nodiscard]] std::string flows_page(const FlowReport& r);
/// A line a flow, in the order of the input; empty cells for what did not happen.
[[nodiscard]] std::string flows_csv(const FlowReport& r);

/// Completion times by tag, for FlowReport::packets.
[[nodiscard]] std::vector<Completions> completions_of(const FlowSet& set,
                                                      const packet::FlowRun& run);
/// "background", "incast", or the number.
[[nodiscard]] std::string tag_name(std::uint16_t tag);
/// "1.37": thousandths as a ratio.
[[nodiscard]] std::string ratio_text(std::int64_t milli);

}  // namespace weft::tools
