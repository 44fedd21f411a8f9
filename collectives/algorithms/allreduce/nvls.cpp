// All-reduce with the reduction in the scale-up switch (NVLS), on k equal hosts of g ranks: the
// switch reduces 1/g of the data to each rank, a ring on each rail reduces it over the hosts, the
// switch multicasts it back; in slice loops. The hierarchical plan with its two stages inside the
// host in network, and proved as that; so it is also what a carrier without such a switch runs.
// steps 2 + 2(k-1); on a rank's scale-up link (g+1)/g S each way, on the rail 2 (k-1)/(k g) S. The
// order of reduction is the switch's: not deterministic. Unequal hosts: rings.
// NCCL, src/transport/nvls.cc; facts E3 (the wire load).
#include "collectives/algorithms/in_network.hpp"
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate hierarchical_allreduce(const GroupShape&, const AlgorithmParams&);  // hierarchical.cpp
PlanTemplate ring_allreduce(const GroupShape&, const AlgorithmParams&);          // ring.cpp

PlanTemplate nvls_allreduce(const GroupShape& shape, const AlgorithmParams& params) {
    PlanTemplate p =
        shape.uniform ? hierarchical_allreduce(shape, params) : ring_allreduce(shape, params);
    p.algorithm = "allreduce/nvls";
    return in_network(std::move(p));
}

}  // namespace weft::algorithms
