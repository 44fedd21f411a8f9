// Double binary tree all-reduce, NCCL's: on each channel one GPU of every host is a node of a
// binary tree over the hosts and the others of its host hang below it in a chain; slices are
// reduced up to the root and copied down again. A channel's GPU is that of its rail, so that trees
// stay on rails; channels alternate between two trees, and a host that is a leaf of one is an
// inner node of the other (but for one host, when their number is odd). Unequal hosts: every rank
// is a host. steps 2 (g - 1 + ceil(log2 k)); sent per rank: 2 (g-1)/g S scale-up, on the rail
// up to 2 S/g. Sanders, Speck, Traeff, Parallel Computing 35(12), 2009; NCCL, src/graph/trees.cc
// (ncclGetDtree).
#include "collectives/algorithms/double_tree.hpp"
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate tree_allreduce(const GroupShape& shape, const AlgorithmParams& params) {
    const auto g = shape.uniform ? static_cast<std::uint32_t>(shape.per_host) : 1;
    const auto k = static_cast<std::uint32_t>(shape.n) / g;
    PlanTemplate p = blank("allreduce/tree", Collective::kAllReduce, shape, params,
                           params.channels > 0 ? params.channels : 2 * g, 1);
    for (std::uint32_t c = 0; c < p.channels.size(); ++c) {
        const std::uint32_t rail = c % g;
        Partition cells{.size = k * g, .stride = 1, .order = {}, .where = {}};
        cells.where.resize(cells.size);
        for (const std::uint32_t host : tree_hosts(k, (rail + c / g) % 2))
            for (std::uint32_t i = 0; i < g; ++i) {
                const std::uint32_t rank = host * g + (rail + i) % g;
                cells.where[rank] = static_cast<std::uint32_t>(cells.order.size());
                cells.order.push_back(rank);
            }
        Tree tree;
        tree.in_order = true;
        tree.chain = g;
        p.channels[c].stages = up_and_down(tree, cells);
        p.channels[c].loop_slices = 1;  // each slice goes to every child before the next slice
        p.channels[c].min_loops = params.loops;
    }
    return p;
}

}  // namespace weft::algorithms
