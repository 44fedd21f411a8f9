// Rail-aligned all-to-all on k equal hosts of g ranks. Phase 1, scale-up: rank (h, l) hands local
// rank l' its blocks for (x, l') of every host x. Phase 2, on rail l': (h, l') sends host x the
// blocks of all g ranks of its host in one message. The network carries only same-rail traffic in
// k-1 messages a rank instead of g(k-1); blocks for another local rank cross the scale-up links
// first. steps 2; sent per rank: (g-1)/g S scale-up, (k-1)/k S on the rail. Unequal hosts: as
// direct. NVIDIA, "Doubling all2all performance with NCCL 2.12", 2022 (PXN), the same idea as a
// Plan.
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate direct_alltoall(const GroupShape&, const AlgorithmParams&);  // direct.cpp

PlanTemplate rail_alltoall(const GroupShape& shape, const AlgorithmParams& params) {
    if (!shape.uniform) {
        PlanTemplate plain = direct_alltoall(shape, params);
        plain.algorithm = "alltoall/rail";
        return plain;
    }
    const auto g = static_cast<std::uint32_t>(shape.per_host);
    const auto k = static_cast<std::uint32_t>(shape.hosts);
    PlanTemplate p = blank("alltoall/rail", Collective::kAllToAll, shape, params,
                           params.channels > 0 ? params.channels : 1, g * k);
    p.in_place_ok = false;
    ChunkMap lane;  // chunk l: the blocks of local rank l on every host
    lane.span = k;
    lane.stride = g;
    ChunkMap host;  // chunk h: the blocks of host h
    host.span = g;
    host.index_step = g;
    Stage inside;
    inside.cells = {.size = g, .stride = 1, .order = {}, .where = {}};
    inside.source = Buffer::kInput;
    inside.destination = Buffer::kScratch;
    inside.pattern = Direct{
        .by_destination = true, .recv_by_source = true, .send_chunks = lane, .recv_chunks = lane};
    Stage across;
    across.cells = {.size = k, .stride = g, .order = {}, .where = {}};
    across.source = Buffer::kScratch;
    across.destination = Buffer::kOutput;
    across.pattern = Direct{
        .by_destination = true, .recv_by_source = true, .send_chunks = host, .recv_chunks = host};
    for (Channel& c : p.channels) {
        c.stages = {inside, across};
        c.loop_slices = 2;
        c.min_loops = params.loops;
    }
    return p;
}

}  // namespace weft::algorithms
