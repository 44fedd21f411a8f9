// Rail-optimised Clos of two and three tiers, sized as NVIDIA's DGX SuperPOD (facts B): a scalable
// unit is 32 hosts and 8 leaves, one a rail; switches have 64 ports of 400G; NICs have one port.
// Two tiers: every leaf reaches every spine. Three tiers: a rail's leaves have spines of their own
// (as many as units), and the core joins rails. The wiring of three tiers is an assumption: the
// reference states the counts alone.
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

constexpr int kRails = 8;
constexpr int kSwitchPorts = 64;

struct Shape {
    int units = 8;
    int hosts = 32;
    int leaf_uplinks = 32;
    int spine_uplinks = 0;
    Bandwidth trunk;
    HostTemplate host;
};

Shape read_shape(const Parameters& p, int max_units) {
    Shape s;
    s.units = p.count("units", 1, max_units);
    s.hosts = p.count("hosts_per_unit", 1, 32);
    s.leaf_uplinks = p.count("leaf_uplinks", 1, 32);
    s.trunk = p.rate("trunk_rate");
    s.host = host_of(p);
    return s;
}

/// Leaves and hosts; leaf of unit u and rail r is [r][u], so that a rail's leaves lie together.
std::vector<std::vector<NodeId>> add_units(FabricBuilder& b, const Shape& s) {
    std::vector<std::vector<NodeId>> leaves(kRails);
    for (int unit = 0; unit < s.units; ++unit) {
        for (int rail = 0; rail < kRails; ++rail) {
            const Node leaf{.tier = 1,
                            .rail = rail,
                            .plane = 0,
                            .segment = unit,
                            .pod = 0,
                            .index = unit * kRails + rail};
            leaves[static_cast<std::size_t>(rail)].push_back(b.add_node(leaf));
        }
        for (int i = 0; i < s.hosts; ++i) {
            const int host = unit * s.hosts + i;
            const std::vector<NodeId> nics =
                add_host(b, s.host, {.host = host, .segment = unit, .pod = 0, .domain = host});
            for (std::size_t rail = 0; rail < nics.size(); ++rail)
                b.add_cable(nics[rail], leaves[rail].back(), LinkKind::kAccess, s.host.port_rate,
                            s.host.port_latency);
        }
    }
    return leaves;
}

int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

FabricBuilder begin(const char* name, const Parameters& p) {
    FabricBuilder b{name};
    b.parameters(p.resolved());
    b.port_mode(PortMode::kSingle);
    b.switch_capacity(kSwitchPorts * 400_Gbps);
    b.assume("PCIe adds no latency of its own: the NIC's link latency holds it.");
    return b;
}

}  // namespace

Fabric make_rail2(const Parameters& p) {
    const Shape s = read_shape(p, 8);
    FabricBuilder b = begin("rail2", p);
    std::vector<NodeId> leaves;
    for (const std::vector<NodeId>& rail : add_units(b, s))
        leaves.insert(leaves.end(), rail.begin(), rail.end());
    const int spines = divide_up(s.units * kRails * s.leaf_uplinks, kSwitchPorts);
    if (spines > s.leaf_uplinks)
        p.reject("units", "so few that each leaf reaches every spine", "1");
    connect_tiers(b, leaves, s.leaf_uplinks,
                  add_switches(b, {.tier = 2, .plane = 0, .pod = 0}, spines), s.trunk,
                  s.host.port_latency);
    b.assume("Uplinks are dealt out over the spines in turn.");
    return b.build();
}

Fabric make_rail3(const Parameters& p) {
    Shape s = read_shape(p, 64);
    s.spine_uplinks = p.count("spine_uplinks", 1, 32);
    FabricBuilder b = begin("rail3", p);
    std::vector<NodeId> spines;
    int rail = 0;
    for (const std::vector<NodeId>& leaves : add_units(b, s)) {
        const Node spine{.tier = 2, .rail = rail, .plane = 0, .pod = 0, .index = rail * s.units};
        const std::vector<NodeId> own = add_switches(b, spine, s.units);
        connect_tiers(b, leaves, s.leaf_uplinks, own, s.trunk, s.host.port_latency);
        spines.insert(spines.end(), own.begin(), own.end());
        ++rail;
    }
    const int cores = divide_up(kRails * s.units * s.spine_uplinks, kSwitchPorts);
    connect_tiers(b, spines, s.spine_uplinks, add_switches(b, {.tier = 3, .plane = 0}, cores),
                  s.trunk, s.host.port_latency);
    b.assume(
        "Wiring (the reference states counts only): a rail has as many spines as units, uplinks "
        "dealt out in turn; traffic between rails of two hosts crosses the core.");
    return b.build();
}

}  // namespace weft
