// Send/recv: the root's vector goes to the next rank; 1 step, S bytes. One rank: a local copy.
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate direct_sendrecv(const GroupShape& shape, const AlgorithmParams& params) {
    const auto n = static_cast<std::uint32_t>(shape.n);
    PlanTemplate p = blank("sendrecv/direct", Collective::kSendRecv, shape, params,
                           params.channels > 0 ? params.channels : 1, 1);
    p.in_place_ok = false;
    if (n == 1) return p;
    const std::uint32_t to = (params.root + 1) % n;
    Explicit e;
    e.sends.resize(n);
    e.recvs.resize(n);
    e.sends[params.root] = {Transfer{.step = 0, .peer = to, .units = {0, 1, 1}}};
    e.recvs[to] = {Transfer{.step = 0, .peer = params.root, .units = {0, 1, 1}}};
    Stage s;
    s.cells.size = n;
    s.source = Buffer::kInput;
    s.pattern = e;
    for (Channel& c : p.channels) c.stages = {s};
    return p;
}

}  // namespace weft::algorithms
