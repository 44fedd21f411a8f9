#pragma once
// What was discovered, as text for people.
#include <optional>
#include <string>
#include <vector>

#include "topology/discover/cluster.hpp"
#include "topology/discover/processors/processors.hpp"

namespace weft::tools {

/// Of this machine: sockets, cores, caches, memory; nothing: why not.
[[nodiscard]] std::string text_of(const std::optional<Processors>& p);
/// Host `h` of them: its ports, with their rails and planes, what is left out, its GPUs.
[[nodiscard]] std::string text_of(const std::vector<SeenHost>& hosts, std::size_t h,
                                  const std::vector<PlacedPort>& ports);

}  // namespace weft::tools
