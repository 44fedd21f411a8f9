// Hierarchical all-reduce on k equal hosts of g ranks: reduce-scatter inside each host, ring
// all-reduce on each rail over the owned 1/g, all-gather inside each host; in slice loops, so that
// the scale-up links and the rails work at once. Units: g * k a channel; local rank l owns l k .. l
// k
// + k - 1, of which the rail's ring takes one a step.
// steps 2 + 2(k-1); sent per rank: 2 (g-1)/g S scale-up, 2 (k-1)/(k g) S on the rail.
// Jia et al., arXiv:1807.11205 (hierarchical all-reduce); HPN24 names it for its
// tests.
#include <fmt/core.h>

#include "base/result.hpp"
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate hierarchical_allreduce(const GroupShape& shape, const AlgorithmParams& params) {
    if (!shape.uniform)
        throw ConfigError(
            {.file = {},
             .line = 0,
             .key = "algorithm",
             .found = fmt::format("hierarchical over {} ranks on unequal hosts", shape.n),
             .expected = "hosts that hold equally many ranks of the group, in order",
             .example = "ring"});
    const auto g = static_cast<std::uint32_t>(shape.per_host);
    const auto k = static_cast<std::uint32_t>(shape.hosts);
    PlanTemplate p = blank("allreduce/hierarchical", Collective::kAllReduce, shape, params,
                           params.channels > 0 ? params.channels : 1, g * k);
    const Partition hosts{.size = g, .stride = 1, .order = {}, .where = {}};
    const Partition rails{.size = k, .stride = g, .order = {}, .where = {}};
    ChunkMap owned;  // chunk l: what local rank l owns
    owned.span = k;
    owned.index_step = k;
    ChunkMap piece;  // chunk j of the own part
    piece.outer_span = k;
    piece.outer = hosts;

    Stage scatter;
    scatter.cells = hosts;
    scatter.arrival = Arrival::kReduce;
    scatter.source = Buffer::kInput;
    scatter.pattern = Direct{.by_destination = true,
                             .recv_by_source = false,
                             .send_chunks = owned,
                             .recv_chunks = owned};
    Stage reduce;
    reduce.cells = rails;
    reduce.arrival = Arrival::kReduce;
    reduce.pattern = Ring{.first = 0, .direction = +1, .steps = k - 1, .chunks = piece};
    Stage spread = reduce;
    spread.arrival = Arrival::kCopy;
    spread.pattern = Ring{.first = 1, .direction = +1, .steps = k - 1, .chunks = piece};
    Stage gather = scatter;
    gather.arrival = Arrival::kCopy;
    gather.source = Buffer::kOutput;
    gather.pattern = Direct{.by_destination = false,
                            .recv_by_source = true,
                            .send_chunks = owned,
                            .recv_chunks = owned};
    for (Channel& c : p.channels) {
        c.stages = {scatter, reduce, spread, gather};
        c.loop_slices = 2;
        c.min_loops = params.loops;
    }
    return p;
}

}  // namespace weft::algorithms
