#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

std::vector<Parameter> with_host(std::vector<Parameter> own) {
    for (Parameter& p : host_parameters()) own.push_back(std::move(p));
    return own;
}

FabricRegistry make_registry() {
    FabricRegistry r{"fabric"};
    r.add({"hpn7",
           "Alibaba HPN 7.0: dual-plane, dual-ToR, rail-optimised, 15,360 GPUs a pod in two "
           "tiers",
           "Qian et al., SIGCOMM 2024, sections 4-7",
           with_host({
               {"pods", "", "1", "pods; more than one adds the core layer"},
               {"segments", "", "15", "segments of each pod"},
               {"hosts_per_segment", "", "128", "active hosts of each segment, 8 GPUs each"},
               {"backup_hosts", "", "8", "further hosts of each segment that no rank uses"},
               {"mode", "", "dual-plane",
                "dual-plane, single-plane (60 uplinks a ToR over all 120 Agg) or "
                "single-plane-120 (SimAI's variant: 120 uplinks a ToR)"},
               {"port_rate", "bit/s", "200Gbps", "one port of a NIC"},
               {"trunk_rate", "bit/s", "400Gbps", "one link between switches"},
           })},
          make_hpn7);
    return r;
}

}  // namespace

const FabricRegistry& fabric_families() {
    static const FabricRegistry registry = make_registry();
    return registry;
}

}  // namespace weft
