#pragma once
// Where the user's word for a fabric becomes a Fabric: a family's name ("hpn7"), a name with
// parameters ("hpn7:segments=2,mode=single-plane") or the path of a YAML file (a word with a slash,
// or that ends in .yaml or .yml).
//
// A file names a family and parameters, or describes hosts, switches and links freely
// (freeform.hpp), and may say which links are down or slow (`health`), which becomes
// Fabric::impairments().
#include <string>

#include "base/parameters.hpp"
#include "topology/fabric.hpp"

namespace weft {

/// `more` adds parameters to those of the text or file. ConfigError for anything wrong with it.
[[nodiscard]] Fabric load_fabric(const std::string& name_or_path, const KeyValues& more = {});

/// The YAML itself; `file` names it in messages.
[[nodiscard]] Fabric parse_fabric(const std::string& yaml, const std::string& file,
                                  const KeyValues& more = {});

}  // namespace weft
