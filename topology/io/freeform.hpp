#pragma once
// The free form of a fabric file: groups of hosts, switches and links instead of a family's name.
// Described with an example in topology/README.md.
#include "topology/fabric.hpp"
#include "topology/io/document.hpp"

namespace weft {

class FabricBuilder;

/// Adds everything that `hosts`, `switches` and `links` of the document say.
void read_freeform(MapReader& document, FabricBuilder& b);

}  // namespace weft
