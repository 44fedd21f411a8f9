#include "collectives/algorithms/double_tree.hpp"

namespace weft::algorithms {

std::vector<std::uint32_t> tree_hosts(std::uint32_t k, std::uint32_t tree) {
    std::vector<std::uint32_t> hosts;
    for (std::uint32_t x = 0; x < k; ++x)
        hosts.push_back(tree == 0 ? x : k % 2 == 0 ? k - 1 - x : (x + 1) % k);
    return hosts;
}

std::vector<Stage> up_and_down(const Tree& tree, const Partition& cells) {
    Stage reduce;
    reduce.cells = cells;
    reduce.arrival = Arrival::kReduce;
    Tree up = tree;
    up.up = true;
    reduce.pattern = up;
    Stage spread = reduce;
    spread.arrival = Arrival::kCopy;
    spread.pattern = tree;
    return {reduce, spread};
}

}  // namespace weft::algorithms
