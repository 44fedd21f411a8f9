// HPN 7.0 (HPN24; facts A1). Per segment 8 rails x 2 ToRs; the two ports of a NIC go to the two
// ToRs of its rail. Each ToR has 60 uplinks. Dual plane: ToR of port p reaches the 60 Agg of plane
// p. Single plane (the paper's comparison, which it does not describe): an assumption, stated
// below.
#include <bit>
#include <fmt/format.h>

#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

constexpr int kRails = 8;
constexpr int kPlanes = 2;
constexpr int kAggPerPlane = 60;
constexpr int kAggs = kPlanes * kAggPerPlane;
constexpr int kAggUplinks = 8;
constexpr int kCorePorts = 128;

enum Mode : std::size_t { kDual, kSingle, kSingle120 };

struct Shape {
    int pods = 1;
    int segments = 15;
    int hosts = 128;
    int backup = 8;
    Mode mode = kDual;
    Bandwidth trunk;
    HostTemplate host;

    [[nodiscard]] int plane(int p) const { return mode == kDual ? p : 0; }
};

/// Single plane: which of the Aggs 2k and 2k+1 the ToRs of a rail reach. Four of the eight rails
/// take each (parity of rail & mask, mask 1..7), so every Agg has 120 ports down, both ToRs of a
/// NIC reach the same Aggs, ToRs of one rail share all 60 and any two rails share some.
int side_of(int rail, int k) {
    return std::popcount(static_cast<unsigned>(rail & (1 + k % 7))) & 1;
}

std::vector<NodeId> add_aggs(FabricBuilder& b, const Shape& s, int pod) {
    std::vector<NodeId> aggs;
    for (int half = 0; half < kPlanes; ++half) {
        Node n{.tier = 2, .plane = s.plane(half), .pod = pod};
        n.index = pod * kAggs + half * kAggPerPlane;
        for (const NodeId agg : add_switches(b, n, kAggPerPlane)) aggs.push_back(agg);
    }
    return aggs;
}

void connect_up(FabricBuilder& b, const Shape& s, NodeId tor, int port,
                const std::vector<NodeId>& aggs) {
    const auto up = [&](int agg) {
        b.add_cable(tor, aggs[static_cast<std::size_t>(agg)], LinkKind::kFabric, s.trunk,
                    s.host.port_latency);
    };
    const int rail = b.node(tor).rail;
    for (int k = 0; k < kAggPerPlane; ++k) {
        if (s.mode == kDual) up(port * kAggPerPlane + k);
        if (s.mode == kSingle) up(2 * k + side_of(rail, k));
        if (s.mode == kSingle120) up(2 * k), up(2 * k + 1);
    }
}

/// The 16 ToRs of a segment, index rail * 2 + port.
std::vector<NodeId> add_tors(FabricBuilder& b, const Shape& s, int pod, int segment,
                             const std::vector<NodeId>& aggs) {
    std::vector<NodeId> tors;
    for (int rail = 0; rail < kRails; ++rail) {
        for (int port = 0; port < kPlanes; ++port) {
            Node n;
            n.tier = 1;
            n.rail = rail;
            n.plane = s.plane(port);
            n.segment = segment;
            n.pod = pod;
            n.index = segment * kRails * kPlanes + rail * kPlanes + port;
            tors.push_back(b.add_node(n));
            connect_up(b, s, tors.back(), port, aggs);
        }
    }
    return tors;
}

void add_hosts(FabricBuilder& b, const Shape& s, bool ranked,
               const std::vector<std::vector<NodeId>>& tors) {
    const int per_segment = ranked ? s.hosts : s.backup;
    int host = ranked ? 0 : s.pods * s.segments * s.hosts;
    for (std::size_t segment = 0; segment < tors.size(); ++segment) {
        for (int i = 0; i < per_segment; ++i, ++host) {
            const HostPlace place{.host = host,
                                  .segment = static_cast<int>(segment),
                                  .pod = static_cast<int>(segment) / s.segments,
                                  .domain = host,
                                  .ranked = ranked};
            const std::vector<NodeId> nics = add_host(b, s.host, place);
            for (std::size_t rail = 0; rail < nics.size(); ++rail)
                for (std::size_t port = 0; port < kPlanes; ++port)
                    b.add_cable(nics[rail], tors[segment][rail * kPlanes + port], LinkKind::kAccess,
                                s.host.port_rate, s.host.port_latency);
        }
    }
}

void add_core(FabricBuilder& b, const Shape& s, const std::vector<std::vector<NodeId>>& aggs) {
    const int planes = s.mode == kDual ? kPlanes : 1;
    const auto per_pod = static_cast<std::ptrdiff_t>(kAggs / planes);
    const int uplinks = s.pods * kAggs / planes * kAggUplinks;
    const int cores = (uplinks + kCorePorts - 1) / kCorePorts;
    for (int plane = 0; plane < planes; ++plane) {
        const Node n{.tier = 3, .plane = plane, .index = plane * cores};
        std::vector<NodeId> lower;
        for (const std::vector<NodeId>& pod : aggs)
            lower.insert(lower.end(), pod.begin() + plane * per_pod,
                         pod.begin() + (plane + 1) * per_pod);
        connect_tiers(b, lower, kAggUplinks, add_switches(b, n, cores), s.trunk,
                      s.host.port_latency);
    }
}

void state_assumptions(FabricBuilder& b, const Shape& s) {
    b.assume("PCIe adds no latency of its own: the NIC's link latency holds it.");
    if (s.mode == kSingle)
        b.assume(
            "Single plane (the paper does not describe it): each ToR's 60 uplinks go to one of "
            "every two of the 120 Agg, the same for both ToRs of a NIC, so that bisection equals "
            "the dual plane's and an Agg may reach a NIC through either ToR.");
    if (s.mode == kSingle120)
        b.assume(
            "Single plane, SimAI's variant: every ToR has 120 uplinks (48T up, a 73.6T chip).");
    if (s.pods > 1)
        b.assume(
            fmt::format("Core layer (not in the paper): in each plane as many switches of {} "
                        "ports as its Agg uplinks fill, each Agg's {} uplinks dealt out in turn.",
                        kCorePorts, kAggUplinks));
    else
        b.assume("One pod: the 8 uplinks of each Agg are reserved and lead nowhere.");
}

}  // namespace

Fabric make_hpn7(const Parameters& p) {
    Shape s;
    s.pods = p.count("pods", 1, 128);
    s.segments = p.count("segments", 1, 15);
    s.hosts = p.count("hosts_per_segment", 1, 128);
    s.backup = p.count("backup_hosts", 0, 8);
    s.mode =
        static_cast<Mode>(p.choice("mode", {"dual-plane", "single-plane", "single-plane-120"}));
    s.trunk = p.rate("trunk_rate");
    s.host = host_of(p);

    FabricBuilder b{"hpn7"};
    b.parameters(p.resolved());
    b.port_mode(s.mode == kDual ? PortMode::kDualPlane : PortMode::kDualTor);
    b.switch_capacity(51200_Gbps);
    b.core_hash_by_ingress();
    std::vector<std::vector<NodeId>> aggs;
    std::vector<std::vector<NodeId>> tors;
    for (int pod = 0; pod < s.pods; ++pod) {
        aggs.push_back(add_aggs(b, s, pod));
        for (int i = 0; i < s.segments; ++i)
            tors.push_back(add_tors(b, s, pod, pod * s.segments + i, aggs.back()));
    }
    if (s.pods > 1) add_core(b, s, aggs);
    add_hosts(b, s, true, tors);
    add_hosts(b, s, false, tors);
    state_assumptions(b, s);
    return b.build();
}

}  // namespace weft
