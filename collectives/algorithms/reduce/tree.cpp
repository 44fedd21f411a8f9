// Reduce up a chain (radix 1) or a complete binary tree in rank order from the root (radix 2),
// slice by slice: broadcast's trees, upward. Chain: n-1 steps, each edge carries S. Tree:
// floor(log2 n) steps, an inner rank receives 2 S. With v = rank - root (mod n), x_v its input and
// each operator incoming (op) local, the chain gives (((x_{n-1} + x_{n-2}) + ..) + x_1) + x_0, the
// tree at every v: (right + (left + x_v)), a child's own sum standing for it.
// Sanders, Speck, Traeff, Parallel Computing 35(12), 2009.
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

namespace {

PlanTemplate reduce(const char* name, const GroupShape& shape, const AlgorithmParams& params,
                    std::uint32_t radix) {
    PlanTemplate p = blank(name, Collective::kReduce, shape, params,
                           params.channels > 0 ? params.channels : 1, 1);
    Stage s;
    s.cells.size = static_cast<std::uint32_t>(shape.n);
    s.arrival = Arrival::kReduce;
    Tree up;
    up.root = params.root;
    up.radix = radix;
    up.up = true;
    s.pattern = up;
    for (Channel& c : p.channels) {
        c.stages = {s};
        c.loop_slices = 1;  // each slice comes from every child before the next slice
    }
    return p;
}

}  // namespace

PlanTemplate chain_reduce(const GroupShape& shape, const AlgorithmParams& params) {
    return reduce("reduce/chain", shape, params, 1);
}
PlanTemplate tree_reduce(const GroupShape& shape, const AlgorithmParams& params) {
    return reduce("reduce/tree", shape, params, 2);
}

}  // namespace weft::algorithms
