#pragma once
// htsim's .topo files: fat trees of 2 or 3 tiers, as numbers of ports.
//
// Models: Nodes, Tiers, Podsize; per tier rates, radices, latencies, Bundle (parallel cables) and
// Oversubscribed (checked against the rates). ToR u's uplink goes to aggregation switch u of its
// pod; aggregation switch a's uplink u goes to core a + (aggregation switches of a pod) u. A switch
// latency is folded into its links, half into each, so that every path has it whole. Leaves out:
// Queue_Up and Queue_Down (buffers are PacketOptions). Source: htsim's fat_tree_topology (csg,
// uet).
#include <string>
#include <string_view>

#include "topology/fabric.hpp"

namespace weft::htsim {

/// Whether the text begins as a .topo file does.
[[nodiscard]] bool is_topology(std::string_view text);
/// ConfigError for anything wrong with it; `file` names it in messages.
[[nodiscard]] Fabric read_topology(const std::string& text, const std::string& file);

}  // namespace weft::htsim
