#include "topology/fabrics/fabrics.hpp"

namespace weft {

// The factories, one per file.
Fabric make_dcn_plus(const Parameters& p);
Fabric make_hosts(const Parameters& p);
Fabric make_hpn7(const Parameters& p);
Fabric make_leaf_spine(const Parameters& p);
Fabric make_rail2(const Parameters& p);
Fabric make_rail3(const Parameters& p);
Fabric make_scale_up(const Parameters& p);

namespace {

struct HostRates {
    const char* scale_up;  // of a GPU, per direction
    const char* port;      // of one port of a NIC
};
constexpr HostRates kHpnHost{"200GB/s", "200Gbps"};  // H800, two ports a NIC (HPN24)
constexpr HostRates kDgxH100{"450GB/s", "400Gbps"};  // one port a NIC (MLE)

std::vector<Parameter> with_host(const HostRates& rates, std::vector<Parameter> own) {
    for (Parameter& p : host_parameters(rates.scale_up, rates.port)) own.push_back(std::move(p));
    return own;
}

RegistryInfo hpn7() {
    return {"hpn7",
            "Alibaba HPN 7.0: dual-plane, dual-ToR, rail-optimised, 15,360 GPUs a pod in two tiers",
            "Qian et al., Alibaba HPN, SIGCOMM 2024",
            with_host(kHpnHost,
                      {{"pods", "", "1", "pods; more than one adds the core layer"},
                       {"segments", "", "15", "segments of each pod"},
                       {"hosts_per_segment", "", "128", "active hosts of a segment, 8 GPUs each"},
                       {"backup_hosts", "", "8", "further hosts of a segment that no rank uses"},
                       {"mode", "", "dual-plane",
                        "dual-plane, single-plane (60 uplinks a ToR over all 120 Agg) or "
                        "single-plane-120 (SimAI's variant: 120 uplinks a ToR)"},
                       {"trunk_rate", "bit/s", "400Gbps", "one link between switches"}})};
}

RegistryInfo dcn_plus() {
    return {"dcn+", "Alibaba's DCN+, HPN's baseline: three-tier Clos, dual-ToR, not rail-optimised",
            "Qian et al., Alibaba HPN, SIGCOMM 2024 (the baseline)",
            with_host(
                kHpnHost,
                {{"pods", "", "32", "pods of 4 segments; more than one adds the core layer"},
                 {"hosts_per_segment", "", "16", "hosts of a segment, 8 GPUs each"},
                 {"tor_uplinks", "", "64",
                  "links up of each ToR, a multiple of 8 (the Agg of a pod); 64 is full bisection"},
                 {"agg_uplinks", "", "64", "links up of each Agg; 64 is full bisection"},
                 {"trunk_rate", "bit/s", "400Gbps", "one link between switches"}})};
}

RegistryInfo leaf_spine() {
    return {"leaf-spine",
            "Leaf and spine over hosts of one GPU and one NIC; without spines, a star",
            "none: the plain form that network simulators share",
            {{"leaves", "", "8", "switches that hosts hang on"},
             {"hosts_per_leaf", "", "8", "hosts of each leaf"},
             {"spines", "", "8", "each with one link to every leaf; 0: one leaf alone"},
             {"rate", "bit/s", "400Gbps", "the port of a NIC"},
             {"trunk_rate", "bit/s", "400Gbps", "one link between switches"},
             {"latency", "s", "1us", "of every link"}}};
}

RegistryInfo rail2() {
    return {"rail2",
            "Rail-optimised leaf and spine, one leaf a rail in each scalable unit (DGX SuperPOD)",
            "NVIDIA DGX SuperPOD reference architecture B200, table of sizes",
            with_host(kDgxH100, {{"units", "", "8", "scalable units"},
                                 {"hosts_per_unit", "", "32", "hosts of a unit, 8 GPUs each"},
                                 {"leaf_uplinks", "", "32", "links up of each leaf"},
                                 {"trunk_rate", "bit/s", "400Gbps", "one link between switches"}})};
}

RegistryInfo rail3() {
    return {
        "rail3",
        "Rail-optimised three-tier Clos: tier 2 joins the leaves of one rail, the core joins rails",
        "NVIDIA DGX SuperPOD reference architecture B200, table of sizes",
        with_host(kDgxH100, {{"units", "", "16", "scalable units"},
                             {"hosts_per_unit", "", "32", "hosts of a unit, 8 GPUs each"},
                             {"leaf_uplinks", "", "32", "links up of each leaf"},
                             {"spine_uplinks", "", "32", "links up of each spine"},
                             {"trunk_rate", "bit/s", "400Gbps", "one link between switches"}})};
}

RegistryInfo scale_up() {
    return {"scale-up",
            "One scale-up domain: GPUs behind one switch",
            "SimAI network presets (25 ns a link)",
            {{"gpus", "", "8", "GPUs of the domain"},
             {"rate", "bit/s", kHpnHost.scale_up, "link of a GPU to the switch, per direction"},
             {"latency", "ns", "25ns", "one link; GPU to GPU is two"}}};
}

RegistryInfo hosts() {
    std::string names;
    for (const std::string& name : host_template_names())
        names += (names.empty() ? "" : ", ") + name;
    return {"hosts",
            "A few hosts of one kind around one switch that never blocks: small measurements",
            "the host's own source (facts B); the switch is an idealisation",
            {{"hosts", "", "2", "hosts; 1 is a single machine"},
             {"template", "", "dgx-h100", names},
             {"switches", "", "one", "one (for each plane) or per-rail (no way between rails)"},
             {"hosts_per_domain", "", "1", "hosts of one scale-up domain (GB200 NVL72: 18 trays)"},
             {"link_latency", "us", "0.5us", "NIC to switch"}}};
}

FabricRegistry make_registry() {
    FabricRegistry r{"fabric"};
    r.add(hpn7(), make_hpn7);
    r.add(dcn_plus(), make_dcn_plus);
    r.add(leaf_spine(), make_leaf_spine);
    r.add(rail2(), make_rail2);
    r.add(rail3(), make_rail3);
    r.add(scale_up(), make_scale_up);
    r.add(hosts(), make_hosts);
    return r;
}

}  // namespace

const FabricRegistry& fabric_families() {
    static const FabricRegistry registry = make_registry();
    return registry;
}

}  // namespace weft
