// All-gather with the multicast in the scale-up switch (NVLS), on k equal hosts of g ranks: a ring
// on each rail gathers the blocks of its k ranks, then every rank gives those once and the switch
// copies them to its host. steps k - 1 + 1; on a rank's scale-up link S/g up and S down, on the
// rail (k-1)/n S. Unequal hosts: rings. NCCL, src/transport/nvls.cc.
#include "collectives/algorithms/in_network.hpp"
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate ring_allgather(const GroupShape&, const AlgorithmParams&);  // ring.cpp

PlanTemplate nvls_allgather(const GroupShape& shape, const AlgorithmParams& params) {
    if (!shape.uniform) {
        PlanTemplate rings = ring_allgather(shape, params);
        rings.algorithm = "allgather/nvls";
        return rings;
    }
    const auto g = static_cast<std::uint32_t>(shape.per_host);
    const auto k = static_cast<std::uint32_t>(shape.hosts);
    PlanTemplate p = blank("allgather/nvls", Collective::kAllGather, shape, params,
                           params.channels > 0 ? params.channels : 1, g * k);
    ChunkMap blocks;
    blocks.by_rank = true;
    Stage across;
    across.cells = {.size = k, .stride = g, .order = {}, .where = {}};
    across.pattern = Ring{.first = 0, .direction = +1, .steps = k - 1, .chunks = blocks};
    ChunkMap lane;  // chunk l: the blocks of local rank l on every host
    lane.span = k;
    lane.stride = g;
    Stage inside;
    inside.cells = {.size = g, .stride = 1, .order = {}, .where = {}};
    inside.pattern = Direct{
        .by_destination = false, .recv_by_source = true, .send_chunks = lane, .recv_chunks = lane};
    for (Channel& c : p.channels) {
        c.stages = {across, inside};
        c.loop_slices = 2;
        c.min_loops = params.loops;
    }
    return in_network(std::move(p));
}

}  // namespace weft::algorithms
