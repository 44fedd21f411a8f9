// Reduce-scatter with the reduction in the scale-up switch (NVLS), on k equal hosts of g ranks: the
// switch reduces to each rank the blocks of its rail, then a ring on each rail reduces them over
// the hosts. steps 1 + k - 1; on a rank's scale-up link S up and S/g down, on the rail (k-1)/n S.
// Not deterministic. Unequal hosts: rings. NCCL, src/transport/nvls.cc.
#include "collectives/algorithms/in_network.hpp"
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate ring_reducescatter(const GroupShape&, const AlgorithmParams&);  // ring.cpp

PlanTemplate nvls_reducescatter(const GroupShape& shape, const AlgorithmParams& params) {
    if (!shape.uniform) {
        PlanTemplate rings = ring_reducescatter(shape, params);
        rings.algorithm = "reducescatter/nvls";
        return rings;
    }
    const auto g = static_cast<std::uint32_t>(shape.per_host);
    const auto k = static_cast<std::uint32_t>(shape.hosts);
    PlanTemplate p = blank("reducescatter/nvls", Collective::kReduceScatter, shape, params,
                           params.channels > 0 ? params.channels : 1, g * k);
    ChunkMap lane;  // chunk l: the blocks of local rank l on every host
    lane.span = k;
    lane.stride = g;
    Stage inside;
    inside.cells = {.size = g, .stride = 1, .order = {}, .where = {}};
    inside.arrival = Arrival::kReduce;
    inside.pattern = Direct{
        .by_destination = true, .recv_by_source = false, .send_chunks = lane, .recv_chunks = lane};
    ChunkMap blocks;
    blocks.by_rank = true;
    Stage across;
    across.cells = {.size = k, .stride = g, .order = {}, .where = {}};
    across.arrival = Arrival::kReduce;
    across.pattern = Ring{.first = -1, .direction = +1, .steps = k - 1, .chunks = blocks};
    for (Channel& c : p.channels) {
        c.stages = {inside, across};
        c.loop_slices = 2;
        c.min_loops = params.loops;
    }
    return in_network(std::move(p));
}

}  // namespace weft::algorithms
