#pragma once
// load_fabric(): where the user's word for a fabric becomes a Fabric: a family's name ("hpn7"), a
// name with parameters ("hpn7:segments=2,mode=single-plane") or the path of a file (a word with a
// slash, or that ends in .yaml, .yml, .topo or .txt), whose format is told from its content: Weft's
// YAML (yaml.hpp), htsim's .topo (htsim/), an ns-3 topology of HPCC or SimAI (ns3/).
#include <string>

#include "base/parameters.hpp"
#include "topology/fabric.hpp"

namespace weft {

/// `more` adds parameters to those of the text or file. ConfigError for anything wrong with it.
[[nodiscard]] Fabric load_fabric(const std::string& name_or_path, const KeyValues& more = {});

/// Whether the word means a file.
[[nodiscard]] bool is_fabric_file(const std::string& name_or_path);

}  // namespace weft
