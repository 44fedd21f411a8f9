// Gather, every rank's block to the root: straight in 1 step, the root receiving n-1 messages; or
// up a binomial tree in ceil(log2 n) steps, where blocks of a subtree travel together: the root
// receives ceil(log2 n) messages, and blocks cross up to ceil(log2 n) edges. The root receives
// (n-1)/n S either way. Thakur, Rabenseifner, Gropp, IJHPCA 2005; Chan et al., CCPE 19(13), 2007.
#include "collectives/algorithms/ring_order.hpp"
#include "collectives/algorithms/to_root.hpp"

namespace weft::algorithms {

namespace {

PlanTemplate gather(const char* name, const GroupShape& shape, const AlgorithmParams& params,
                    ToRoot how) {
    const auto n = static_cast<std::uint32_t>(shape.n);
    PlanTemplate p = blank(name, Collective::kGather, shape, params,
                           params.channels > 0 ? params.channels : 1, n);
    Stage s;
    s.cells.size = n;
    s.pattern = gather_transfers(n, params.root, how);
    for (Channel& c : p.channels) {
        c.stages = {s};
        c.loop_slices = 1;  // senders take turns
    }
    return p;
}

}  // namespace

PlanTemplate direct_gather(const GroupShape& shape, const AlgorithmParams& params) {
    return gather("gather/direct", shape, params, ToRoot::kStraight);
}
PlanTemplate tree_gather(const GroupShape& shape, const AlgorithmParams& params) {
    return gather("gather/tree", shape, params, ToRoot::kBinomial);
}

}  // namespace weft::algorithms
