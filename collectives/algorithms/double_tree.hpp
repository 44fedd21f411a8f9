#pragma once
// NCCL's two binary trees over k hosts: hosts in the order of the nodes of an in-order Tree. The
// second tree is the first mirrored (k even) or shifted by one host (k odd), so that a leaf of one
// is inner in the other. Source: NCCL, src/graph/trees.cc (ncclGetDtree).
#include <vector>

#include "collectives/plan/plan.hpp"

namespace weft::algorithms {

/// The host at every node of tree 0 or 1.
[[nodiscard]] std::vector<std::uint32_t> tree_hosts(std::uint32_t k, std::uint32_t tree);

/// The stages that reduce to the tree's root and spread its result again.
[[nodiscard]] std::vector<Stage> up_and_down(const Tree& tree, const Partition& cells);

}  // namespace weft::algorithms
