#pragma once
// Several endpoints as one: each peer is reached through the first of them that can, such as shared
// memory inside the host and TCP to others.
#include <cstdint>
#include <memory>
#include <vector>

#include "collectives/transport/transport.hpp"

namespace weft::live {

/// `route[peer]`: which of `parts` carries what goes to and comes from the peer (its own entry is
/// not used). All parts are of one rank.
[[nodiscard]] std::unique_ptr<Endpoint> combine(std::vector<std::unique_ptr<Endpoint>> parts,
                                                std::vector<std::uint8_t> route);

}  // namespace weft::live
