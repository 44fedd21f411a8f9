// All-reduce with the reduction in the scale-up switch, as nvls, and double binary trees instead of
// rings between the hosts of each rail; channels alternate between the two trees.
// steps 2 + 2 ceil(log2 k); on a rank's scale-up link (g+1)/g S each way, on the rail up to 2 S/g.
// Not deterministic. Unequal hosts: trees over ranks. NCCL, src/transport/nvls.cc (NVLSTree).
#include "collectives/algorithms/double_tree.hpp"
#include "collectives/algorithms/in_network.hpp"
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate nvls_tree_allreduce(const GroupShape& shape, const AlgorithmParams& params) {
    const auto g = shape.uniform ? static_cast<std::uint32_t>(shape.per_host) : 1;
    const auto k = static_cast<std::uint32_t>(shape.n) / g;
    PlanTemplate p = blank("allreduce/nvls-tree", Collective::kAllReduce, shape, params,
                           params.channels > 0 ? params.channels : 2, g);
    ChunkMap owned;  // chunk l: what local rank l owns
    Stage scatter;
    scatter.cells = {.size = g, .stride = 1, .order = {}, .where = {}};
    scatter.arrival = Arrival::kReduce;
    scatter.source = Buffer::kInput;
    scatter.pattern = Direct{.by_destination = true,
                             .recv_by_source = false,
                             .send_chunks = owned,
                             .recv_chunks = owned};
    Stage gather = scatter;
    gather.arrival = Arrival::kCopy;
    gather.source = Buffer::kOutput;
    gather.pattern = Direct{.by_destination = false,
                            .recv_by_source = true,
                            .send_chunks = owned,
                            .recv_chunks = owned};
    Tree tree;
    tree.in_order = true;
    tree.chunks.outer_span = 1;  // the own chunk
    tree.chunks.outer = scatter.cells;
    for (std::uint32_t c = 0; c < p.channels.size(); ++c) {
        Partition rails{.size = k, .stride = 1, .order = {}, .where = {}};
        rails.where.resize(p.n);
        for (std::uint32_t local = 0; local < g; ++local)
            for (const std::uint32_t host : tree_hosts(k, c % 2)) {
                rails.where[host * g + local] = static_cast<std::uint32_t>(rails.order.size());
                rails.order.push_back(host * g + local);
            }
        std::vector<Stage>& stages = p.channels[c].stages;
        stages = up_and_down(tree, rails);
        stages.insert(stages.begin(), scatter);
        stages.push_back(gather);
        p.channels[c].loop_slices = 1;  // each slice goes to every child before the next slice
        p.channels[c].min_loops = 2 * params.loops;
    }
    return in_network(std::move(p));
}

}  // namespace weft::algorithms
