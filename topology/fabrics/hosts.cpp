// k hosts of a named template whose NIC ports meet in one switch that never blocks: what small
// nccl-tests runs are made on. Port p of every NIC leads to the switch of plane p (one plane where
// NICs have one port), or of its rail and plane. Leaves out: the real switches between the hosts.
#include "topology/fabrics/fabrics.hpp"

namespace weft {

Fabric make_hosts(const Parameters& p) {
    const int hosts = p.count("hosts", 1, 1024);
    const NamedHost& named = host_templates()[p.choice("template", host_template_names())];
    HostTemplate t = named.host;
    t.port_latency = p.duration("link_latency");
    const bool per_rail = p.choice("switches", {"one", "per-rail"}) == 1;
    const int per_domain = p.count("hosts_per_domain", 1, 1024);

    FabricBuilder b{"hosts"};
    b.parameters(p.resolved());
    if (t.ports > 1) b.port_mode(PortMode::kDualPlane);
    b.assume("The switch between the hosts never limits.");
    b.assume("Host: " + named.source + ".");
    std::vector<NodeId> switches;  // plane by plane, rail by rail
    for (int plane = 0; plane < t.ports; ++plane)
        for (int rail = 0; rail < (per_rail ? t.nics : 1); ++rail)
            switches.push_back(b.add_node({.tier = 1,
                                           .rail = per_rail ? rail : kAny,
                                           .plane = plane,
                                           .segment = 0,
                                           .pod = 0,
                                           .index = static_cast<int>(switches.size())}));
    const auto rails = static_cast<std::size_t>(per_rail ? t.nics : 1);
    NodeId hub = NodeId::none();
    for (int h = 0; h < hosts; ++h) {
        const int domain = h / per_domain;
        if (per_domain > 1 && h % per_domain == 0)
            hub = b.add_node({.kind = NodeKind::kScaleUpSwitch,
                              .segment = 0,
                              .pod = 0,
                              .domain = domain,
                              .in_network = t.in_network});
        const std::vector<NodeId> nics =
            add_host(b, t, {.host = h, .segment = 0, .pod = 0, .domain = domain, .hub = hub});
        for (std::size_t n = 0; n < nics.size(); ++n)
            for (std::size_t port = 0; port < static_cast<std::size_t>(t.ports); ++port)
                b.add_cable(nics[n], switches[port * rails + (per_rail ? n : 0)], LinkKind::kAccess,
                            t.port_rate, t.port_latency);
    }
    return b.build();
}

}  // namespace weft
