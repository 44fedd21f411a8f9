#pragma once
// Where the user's word for a fabric becomes a Fabric: a family's name ("hpn7"), a name with
// parameters ("hpn7:segments=2,mode=single-plane") or the path of a YAML file.
#include <string>

#include "topology/fabric.hpp"
#include "topology/parameters.hpp"

namespace weft {

/// `more` adds parameters to those in the text. ConfigError for anything wrong with it.
[[nodiscard]] Fabric load_fabric(const std::string& name_or_path, const KeyValues& more = {});

}  // namespace weft
