// Scatter, the root's block r to rank r: straight in 1 step, the root sending n-1 messages; or down
// a binomial tree in ceil(log2 n) steps, where blocks of a subtree travel together: the root sends
// ceil(log2 n) messages, and blocks cross up to ceil(log2 n) edges. The root sends (n-1)/n S either
// way. Thakur, Rabenseifner, Gropp, IJHPCA 2005; Chan et al., CCPE 19(13), 2007.
#include "collectives/algorithms/ring_order.hpp"
#include "collectives/algorithms/to_root.hpp"

namespace weft::algorithms {

namespace {

PlanTemplate scatter(const char* name, const GroupShape& shape, const AlgorithmParams& params,
                     ToRoot how) {
    const auto n = static_cast<std::uint32_t>(shape.n);
    PlanTemplate p = blank(name, Collective::kScatter, shape, params,
                           params.channels > 0 ? params.channels : 1, n);
    Stage s;
    s.cells.size = n;
    s.pattern = scatter_transfers(n, params.root, how);
    for (Channel& c : p.channels) {
        c.stages = {s};
        c.loop_slices = 1;  // receivers take turns
    }
    return p;
}

}  // namespace

PlanTemplate direct_scatter(const GroupShape& shape, const AlgorithmParams& params) {
    return scatter("scatter/direct", shape, params, ToRoot::kStraight);
}
PlanTemplate tree_scatter(const GroupShape& shape, const AlgorithmParams& params) {
    return scatter("scatter/tree", shape, params, ToRoot::kBinomial);
}

}  // namespace weft::algorithms
