#pragma once
// Who sends which blocks to whom when everybody's come together at the root: straight, or up a
// binomial tree, where a rank hands on the blocks of all that are below it. The other way round it
// is who gets which blocks of the root. v = rank - root (mod n); in the tree v's parent is v less
// its lowest bit b, and below v are v .. v + b - 1.
#include "collectives/algorithms/algorithm.hpp"

namespace weft::algorithms {

enum class ToRoot : std::uint8_t { kStraight, kBinomial };

/// Every block once from its rank to the root; step k of the tree is that of bit k.
[[nodiscard]] Explicit gather_transfers(std::uint32_t n, std::uint32_t root, ToRoot how);
/// The same transfers from their receivers to their senders, in the opposite order.
[[nodiscard]] Explicit scatter_transfers(std::uint32_t n, std::uint32_t root, ToRoot how);

}  // namespace weft::algorithms
