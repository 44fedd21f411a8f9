#include "topology/fabrics/fabrics.hpp"

namespace weft {

std::vector<Parameter> host_parameters(const std::string& scale_up_rate,
                                       const std::string& port_rate) {
    return {
        {"port_rate", "bit/s", port_rate, "one port of a NIC"},
        {"scale_up_rate", "bit/s", scale_up_rate,
         "scale-up link of a GPU, per direction (H800 200GB/s, SimAI's H100 360GB/s, H100 "
         "450GB/s)"},
        {"pcie_rate", "bit/s", "63GB/s", "PCIe link between a GPU and its NIC, per direction"},
        {"scale_up_latency", "ns", "25ns", "one scale-up link; GPU to GPU is two"},
        {"link_latency", "us", "0.5us", "one link of a NIC or a switch"},
    };
}

HostTemplate host_of(const Parameters& p) {
    HostTemplate t;
    t.port_rate = p.rate("port_rate");
    t.port_latency = p.duration("link_latency");
    t.pcie = p.rate("pcie_rate");
    t.scale_up = p.rate("scale_up_rate");
    t.scale_up_latency = p.duration("scale_up_latency");
    return t;
}

std::vector<NodeId> add_switches(FabricBuilder& b, Node proto, int count) {
    std::vector<NodeId> made;
    for (int i = 0; i < count; ++i, ++proto.index) made.push_back(b.add_node(proto));
    return made;
}

void connect_tiers(FabricBuilder& b, const std::vector<NodeId>& lower, int uplinks,
                   const std::vector<NodeId>& upper, Bandwidth rate, SimDuration latency) {
    std::size_t g = 0;
    for (const NodeId low : lower)
        for (int u = 0; u < uplinks; ++u, ++g)
            b.add_cable(low, upper[g % upper.size()], LinkKind::kFabric, rate, latency);
}

Fabric make_fabric(const std::string& family, const KeyValues& given) {
    const FabricRegistry::Row& row = fabric_families().at(family);
    return row.make(Parameters{row.info, given, "fabric " + family});
}

Fabric make_fabric_from_text(const std::string& text, const KeyValues& more) {
    const std::size_t colon = text.find(':');
    std::vector<std::string> settings;
    for (std::size_t at = colon; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at + 1), text.size());
        settings.push_back(text.substr(at + 1, end - at - 1));
        at = end;
    }
    KeyValues given = parse_settings(settings);
    given.insert(given.end(), more.begin(), more.end());
    return make_fabric(text.substr(0, colon), given);
}

}  // namespace weft
