// Ring all-reduce: a reduce-scatter and an all-gather around one ring per channel.
// steps 2(n-1); every rank sends 2(n-1)/n S. Patarasuk and Yuan, JPDC 2009.
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate ring_allreduce(const GroupShape& shape, const AlgorithmParams& params) {
    const auto n = static_cast<std::uint32_t>(shape.n);
    PlanTemplate p = blank("allreduce/ring", Collective::kAllReduce, shape, params,
                           ring_channels(shape, params), n);
    for (std::uint32_t c = 0; c < p.channels.size(); ++c) {
        Stage reduce;
        reduce.cells = ring_order(shape, c, params.ring_walk);
        reduce.arrival = Arrival::kReduce;
        reduce.pattern = Ring{.first = 0, .direction = +1, .steps = n - 1, .chunks = {}};
        Stage gather = reduce;
        gather.arrival = Arrival::kCopy;
        gather.pattern = Ring{.first = 1, .direction = +1, .steps = n - 1, .chunks = {}};
        p.channels[c].stages = {reduce, gather};
    }
    return p;
}

}  // namespace weft::algorithms
