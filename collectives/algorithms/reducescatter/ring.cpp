// Ring reduce-scatter: the partial sum of block r starts at the rank after r and ends at r.
// steps n-1; every rank sends (n-1)/n S. Partial sums of others' blocks live in scratch.
// Chan et al., Concurrency and Computation 19(13), 2007 (bucket distributed reduce).
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate ring_reducescatter(const GroupShape& shape, const AlgorithmParams& params) {
    const auto n = static_cast<std::uint32_t>(shape.n);
    PlanTemplate p = blank("reducescatter/ring", Collective::kReduceScatter, shape, params,
                           ring_channels(shape, params), n);
    ChunkMap blocks;
    blocks.by_rank = true;
    for (std::uint32_t c = 0; c < p.channels.size(); ++c) {
        Stage s;
        s.cells = ring_order(shape, c, params.ring_walk);
        s.arrival = Arrival::kReduce;
        s.pattern = Ring{.first = -1, .direction = +1, .steps = n - 1, .chunks = blocks};
        p.channels[c].stages = {s};
    }
    return p;
}

}  // namespace weft::algorithms
