// Plain leaf and spine over hosts of one GPU and one NIC, as network simulators and their inputs
// have them; without spines one switch (a star). The PCIe link is never the limit: an end is its
// NIC.
#include "topology/fabrics/fabrics.hpp"

namespace weft {

Fabric make_leaf_spine(const Parameters& p) {
    const int leaves = p.count("leaves", 1, 4096);
    const int per_leaf = p.count("hosts_per_leaf", 1, 1024);
    const int spines = p.count("spines", 0, 1024);
    const Bandwidth trunk = p.rate("trunk_rate");
    const SimDuration latency = p.duration("latency");
    if (leaves > 1 && spines == 0) p.reject("spines", "at least 1 where there are leaves", "4");
    const HostTemplate t = end_host(p.rate("rate"), latency);

    FabricBuilder b{"leaf-spine"};
    b.parameters(p.resolved());
    b.assume("A host is one GPU and one NIC of one port; PCIe is never the limit.");
    std::vector<NodeId> tops;
    if (spines > 0) tops = add_switches(b, {.tier = 2, .segment = kAny, .pod = 0}, spines);
    int host = 0;
    for (int l = 0; l < leaves; ++l) {
        const NodeId leaf = b.add_node({.tier = 1, .segment = l, .pod = 0, .index = l});
        for (const NodeId top : tops) b.add_cable(leaf, top, LinkKind::kFabric, trunk, latency);
        for (int h = 0; h < per_leaf; ++h, ++host) {
            const std::vector<NodeId> nics =
                add_host(b, t, {.host = host, .segment = l, .pod = 0, .domain = host});
            b.add_cable(nics.front(), leaf, LinkKind::kAccess, t.port_rate, latency);
        }
    }
    return b.build();
}

}  // namespace weft
