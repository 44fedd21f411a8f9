#pragma once
// Topology files of HPCC's ns-3 simulator and of SimAI: nodes, switches, links `from to rate delay
// error_rate`.
//
// Models: HPCC's form (`nodes switches links`): every node that is no switch is a host of one GPU
// and one NIC with a port per link. SimAI's form (`nodes gpus_per_server nvswitches switches links
// gpu_type`): a node below the switches is a GPU with a NIC of its own, `gpus_per_server` of them
// on one NVSwitch. A switch's tier is its distance from the nearest host. Leaves out: error rates
// (said in the assumptions), several NVSwitches a server, links between hosts. Source: HPCC-ns3
// third.cc, SimAI's SetupNetwork().
#include <string>
#include <string_view>
#include <vector>

#include "topology/fabric.hpp"

namespace weft::ns3 {

struct Topology {
    Fabric fabric;
    std::vector<GpuId> gpu_of_node;  // by the file's node id; invalid for a switch
};

/// Whether the text begins as such a file does: with a line of three counts, or of five and a name.
[[nodiscard]] bool is_topology(std::string_view text);
/// ConfigError for anything wrong with it; `file` names it in messages.
[[nodiscard]] Topology read_topology(const std::string& text, const std::string& file);

}  // namespace weft::ns3
