// Broadcast down a chain (radix 1) or a complete binary tree in rank order from the root (radix 2),
// pipelined slice by slice. Chain: n-1 steps, each edge carries S. Tree: floor(log2 n) steps, an
// inner rank sends 2 S. Sanders, Speck, Traeff, Parallel Computing 35(12), 2009.
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

namespace {

PlanTemplate broadcast(const char* name, const GroupShape& shape, const AlgorithmParams& params,
                       std::uint32_t radix) {
    PlanTemplate p = blank(name, Collective::kBroadcast, shape, params,
                           params.channels > 0 ? params.channels : 1, 1);
    Stage s;
    s.cells.size = static_cast<std::uint32_t>(shape.n);
    s.pattern = Tree{.root = params.root, .radix = radix, .chunk_count = 1, .chunks = {}};
    for (Channel& c : p.channels) {
        c.stages = {s};
        c.loop_slices = 1;  // each slice goes to every child before the next slice
    }
    return p;
}

}  // namespace

PlanTemplate chain_broadcast(const GroupShape& shape, const AlgorithmParams& params) {
    return broadcast("broadcast/chain", shape, params, 1);
}
PlanTemplate tree_broadcast(const GroupShape& shape, const AlgorithmParams& params) {
    return broadcast("broadcast/tree", shape, params, 2);
}

}  // namespace weft::algorithms
