// DCN+ (HPN24, facts A1): segments of 16 hosts under two ToRs that all eight NICs of a host share;
// pods of 4 segments, 8 ToRs and 8 Agg. The paper leaves the number of links between two switches
// open; full bisection fixes it: 128 x 200G down and 64 x 400G up a ToR, 8 to each Agg; 64 down and
// 64 up an Agg. SimAI's preset of 8 uplinks a ToR is 8:1 oversubscribed: a parameter, to be swept.
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

constexpr int kSegmentsPerPod = 4;
constexpr int kTorsPerSegment = 2;
constexpr int kAggPerPod = 8;
constexpr int kSwitchPorts = 128;  // of 400G: 51.2T

struct Shape {
    int pods = 32;
    int hosts = 16;
    int tor_uplinks = 64;
    int agg_uplinks = 64;
    Bandwidth trunk;
    HostTemplate host;
};

void add_segment(FabricBuilder& b, const Shape& s, int segment, const std::vector<NodeId>& tors) {
    const int pod = segment / kSegmentsPerPod;
    for (int i = 0; i < s.hosts; ++i) {
        const int host = segment * s.hosts + i;
        for (const NodeId nic :
             add_host(b, s.host, {.host = host, .segment = segment, .pod = pod, .domain = host}))
            for (const NodeId tor : tors)
                b.add_cable(nic, tor, LinkKind::kAccess, s.host.port_rate, s.host.port_latency);
    }
}

/// Segments, ToRs and Aggs of one pod; returns the Aggs.
std::vector<NodeId> add_pod(FabricBuilder& b, const Shape& s, int pod) {
    const std::vector<NodeId> aggs =
        add_switches(b, {.tier = 2, .plane = 0, .pod = pod, .index = pod * kAggPerPod}, kAggPerPod);
    for (int i = 0; i < kSegmentsPerPod; ++i) {
        const int segment = pod * kSegmentsPerPod + i;
        const Node tor{.tier = 1,
                       .plane = 0,
                       .segment = segment,
                       .pod = pod,
                       .index = segment * kTorsPerSegment};
        const std::vector<NodeId> tors = add_switches(b, tor, kTorsPerSegment);
        connect_tiers(b, tors, s.tor_uplinks, aggs, s.trunk, s.host.port_latency);
        add_segment(b, s, segment, tors);
    }
    return aggs;
}

}  // namespace

Fabric make_dcn_plus(const Parameters& p) {
    Shape s;
    s.pods = p.count("pods", 1, 32);
    s.hosts = p.count("hosts_per_segment", 1, 16);
    s.tor_uplinks = p.count("tor_uplinks", kAggPerPod, kSwitchPorts);
    if (s.tor_uplinks % kAggPerPod != 0)
        p.reject("tor_uplinks", "a multiple of 8, the Agg of a pod", "64");
    s.agg_uplinks = p.count("agg_uplinks", 1, kSwitchPorts);
    s.trunk = p.rate("trunk_rate");
    s.host = host_of(p);

    FabricBuilder b{"dcn+"};
    b.parameters(p.resolved());
    b.port_mode(PortMode::kDualTor);
    b.switch_capacity(51200_Gbps);
    std::vector<NodeId> aggs;
    for (int pod = 0; pod < s.pods; ++pod)
        for (const NodeId agg : add_pod(b, s, pod)) aggs.push_back(agg);
    if (s.pods > 1) {
        const int uplinks = s.pods * kAggPerPod * s.agg_uplinks;
        const int cores = (uplinks + kSwitchPorts - 1) / kSwitchPorts;
        connect_tiers(b, aggs, s.agg_uplinks, add_switches(b, {.tier = 3, .plane = 0}, cores),
                      s.trunk, s.host.port_latency);
        b.assume(
            "Core layer (not in the paper): as many switches of 128 x 400G as the Agg's uplinks "
            "fill, uplinks dealt out in turn.");
    }
    b.assume("Links between two switches (not in the paper): set by full bisection unless given.");
    b.assume("PCIe adds no latency of its own: the NIC's link latency holds it.");
    return b.build();
}

}  // namespace weft
