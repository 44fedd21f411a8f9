#pragma once
// HPCC's flow.txt: a count, then `src dst pg dport size_bytes start_seconds` for each flow.
//
// Models: that many flows; a file that says fewer than it has lines is cut there, as HPCC does.
// dport becomes the tag (100 background, 200 incast, by HPCC's convention). Leaves out: the
// priority group (all data is of one class). Source: HPCC-ns3 third.cc.
#include <span>
#include <string>
#include <string_view>

#include "traces/flows.hpp"

namespace weft::hpcc {

/// Whether the text begins as such a list does: with a count by itself.
[[nodiscard]] bool is_flow_list(std::string_view text);
/// `gpu_of_node`: by the node ids of the topology; empty: a node is the GPU of that number.
/// ConfigError for anything wrong with it; `file` names it in messages.
[[nodiscard]] FlowSet read_flow_list(const std::string& text, const std::string& file,
                                     std::span<const GpuId> gpu_of_node = {});

}  // namespace weft::hpcc
