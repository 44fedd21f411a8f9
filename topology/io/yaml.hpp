#pragma once
// Weft's own fabric files.
//
// A file names a family and parameters, or describes hosts, switches and links freely
// (freeform.hpp), and may say which links are down or slow (`health`), which becomes
// Fabric::impairments().
#include <string>

#include "base/parameters.hpp"
#include "topology/fabric.hpp"

namespace weft {

/// `file` names it in messages; `more` adds parameters. ConfigError for anything wrong with it.
[[nodiscard]] Fabric parse_fabric(const std::string& yaml, const std::string& file,
                                  const KeyValues& more = {});

}  // namespace weft
