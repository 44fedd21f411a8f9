// Direct all-to-all: at step s rank r sends its block for r + s + 1 there.
// n-1 transfers a rank, none waiting for another; every rank sends (n-1)/n S.
// Thakur, Rabenseifner, Gropp, IJHPCA 2005 (pairwise exchange without the barrier).
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate direct_alltoall(const GroupShape& shape, const AlgorithmParams& params) {
    const auto n = static_cast<std::uint32_t>(shape.n);
    PlanTemplate p = blank("alltoall/direct", Collective::kAllToAll, shape, params,
                           params.channels > 0 ? params.channels : 1, n);
    p.in_place_ok = false;
    Stage s;
    s.cells.size = n;
    s.source = Buffer::kInput;
    s.pattern = Direct{
        .by_destination = true, .recv_by_source = true, .send_chunks = {}, .recv_chunks = {}};
    for (Channel& c : p.channels) {
        c.stages = {s};
        // Peers take turns: all slices for one peer first would fill its slots, and a rank whose
        // next peers share its host would leave its NIC idle meanwhile.
        c.loop_slices = 1;
    }
    return p;
}

}  // namespace weft::algorithms
