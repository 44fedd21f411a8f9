#pragma once
// Fabric: what a cluster is, in flat arrays. Devices (GPUs, NICs, scale-up switches, packet
// switches) and directed links; every link carries rail, plane, tier, segment, pod and scale-up
// domain of the port it leaves from.
//
// A cable is two directed links, 2k and 2k+1; reverse(l) = l ^ 1. A directed link names the egress
// port it leaves from, so there is no separate port array. A rank is a GPU, never a NIC: a host
// template (topology/host/) says how many NICs serve a GPU and over which PCIe and scale-up links.
// Leaves out: routing and traffic (topology/routing), link health (Health below), queues.
// Units: Bandwidth in bit/s per direction, latency one way. Errors: FabricBuilder::build() throws
// ConfigError for what a user can cause, and fails a check for what only a family's code can.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/registry.hpp"
#include "base/units.hpp"

namespace weft {

enum class NodeKind : std::uint8_t { kGpu, kNic, kScaleUpSwitch, kSwitch };
enum class LinkKind : std::uint8_t {
    kScaleUp,  // GPU - scale-up switch (NVLink, UALink)
    kPcie,     // GPU - NIC inside a host
    kAccess,   // NIC port - first-tier switch
    kFabric,   // switch - switch
};

/// "Not applicable" for the small integers below (a GPU has no plane, a core switch no segment).
inline constexpr std::int32_t kAny = -1;

[[nodiscard]] constexpr const char* name_of(LinkKind k) {
    constexpr const char* kNames[] = {"scale-up", "pcie", "access", "fabric"};
    return kNames[static_cast<std::size_t>(k)];
}

struct Node {
    NodeKind kind = NodeKind::kSwitch;
    std::int32_t tier = 0;     // 0 host devices, 1 ToR/leaf, 2 Agg/spine, 3 core
    std::int32_t rail = kAny;  // local GPU index a NIC or ToR serves
    std::int32_t plane = kAny;
    std::int32_t segment = kAny;
    std::int32_t pod = kAny;
    std::int32_t host = kAny;    // HostId value for devices inside a host
    std::int32_t domain = kAny;  // scale-up domain
    std::int32_t index = 0;      // among the nodes of the same role, for names: "tor[17]"
    bool in_network = false;     // a scale-up switch that reduces and multicasts (NVLS)
};

struct Link {
    NodeId from;
    NodeId to;
    Bandwidth capacity;
    SimDuration latency;
    LinkKind kind = LinkKind::kFabric;
    std::int32_t rail = kAny;
    std::int32_t plane = kAny;
    std::int32_t tier = 0;  // the higher tier of its two ends
    std::int32_t segment = kAny;
    std::int32_t pod = kAny;
    std::int32_t domain = kAny;
};

[[nodiscard]] constexpr LinkId reverse(LinkId l) {
    return LinkId{l.value() ^ 1U};
}

/// How a NIC with several ports uses them (a property of the fabric's attachment, A1 of the
/// sources).
enum class PortMode : std::uint8_t {
    kSingle,     // one port
    kDualPlane,  // port p leads into plane p, and arrives at port p of the peer
    kDualTor,    // both ports lead into one plane through two ToRs; either reaches the peer
};

/// What a host is made of, as far as a library's own choices ask for it (facts E1).
enum class GpuGeneration : std::uint8_t { kVolta, kAmpere, kHopper, kBlackwell };
enum class CpuVendor : std::uint8_t { kIntel, kAmd };
[[nodiscard]] const char* name_of(GpuGeneration g);

/// A GPU and the NICs that serve it (nearest first); a NIC and its ports (egress links).
struct Gpu {
    NodeId node;
    HostId host;
    std::int32_t local = 0;      // index inside its host
    std::int32_t domain = kAny;  // scale-up domain
    std::vector<NicId> nics;
};
struct Nic {
    NodeId node;
    HostId host;
    std::int32_t rail = kAny;
    std::vector<LinkId> ports;  // egress, in port order
};

class Fabric {
  public:
    [[nodiscard]] const std::string& name() const { return name_; }
    /// The resolved parameters that made it, in declared order, each value with its unit.
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& parameters() const {
        return parameters_;
    }
    /// What the sources do not say and this fabric assumes, one sentence each.
    [[nodiscard]] const std::vector<std::string>& assumptions() const { return assumptions_; }
    [[nodiscard]] PortMode port_mode() const { return port_mode_; }
    [[nodiscard]] GpuGeneration generation() const { return generation_; }
    [[nodiscard]] CpuVendor cpu() const { return cpu_; }
    /// Core switches pick the next hop by ingress port while nothing has failed (HPN24).
    [[nodiscard]] bool core_hash_by_ingress() const { return core_hash_by_ingress_; }

    /// Of one packet switch, for port counts in descriptions; 0 when not stated.
    [[nodiscard]] Bandwidth switch_capacity() const { return switch_capacity_; }

    [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }
    [[nodiscard]] std::span<const Link> links() const { return links_; }
    [[nodiscard]] std::span<const Gpu> gpus() const { return gpus_; }
    [[nodiscard]] std::span<const Nic> nics() const { return nics_; }
    [[nodiscard]] std::size_t hosts() const { return hosts_; }
    [[nodiscard]] std::size_t domains() const { return domains_; }
    [[nodiscard]] const Node& node(NodeId n) const { return nodes_[n.index()]; }
    [[nodiscard]] const Link& link(LinkId l) const { return links_[l.index()]; }
    [[nodiscard]] const Gpu& gpu(GpuId g) const { return gpus_[g.index()]; }
    [[nodiscard]] const Nic& nic(NicId n) const { return nics_[n.index()]; }
    /// Away from the hosts; out of the GPU, inside one.
    [[nodiscard]] bool leads_up(LinkId l) const {
        const Link& x = link(l);
        if (x.kind == LinkKind::kScaleUp || x.kind == LinkKind::kPcie)
            return node(x.from).kind == NodeKind::kGpu;
        return node(x.from).tier < node(x.to).tier;
    }
    /// Egress links of a node, in port order.
    [[nodiscard]] std::span<const LinkId> out(NodeId n) const {
        return std::span{adjacency_}.subspan(first_out_[n.index()],
                                             first_out_[n.index() + 1] - first_out_[n.index()]);
    }
    /// "host[3].gpu[2]", "tor[17]", "agg[3]"; stable, for messages and results.
    [[nodiscard]] std::string name_of(NodeId n) const;
    /// "host[3].nic[2]:1 > tor[17]"; parallel cables of two switches are "tor[0]:2 > agg[3]".
    /// Stable.
    [[nodiscard]] std::string name_of(LinkId l) const;
    /// The link of that name, or an invalid id.
    [[nodiscard]] LinkId find_link(std::string_view name) const;
    /// Links that are down (rate 0) or slow from the start; Health begins with them.
    [[nodiscard]] const std::vector<std::pair<LinkId, Bandwidth>>& impairments() const {
        return impairments_;
    }
    void impair(LinkId l, Bandwidth rate) { impairments_.emplace_back(l, rate); }
    /// Content hash of everything above; equal fabrics on every machine give equal digests.
    [[nodiscard]] std::uint64_t digest() const;

  private:
    friend class FabricBuilder;
    std::string name_;
    std::vector<std::pair<std::string, std::string>> parameters_;
    std::vector<std::string> assumptions_;
    PortMode port_mode_ = PortMode::kSingle;
    GpuGeneration generation_ = GpuGeneration::kHopper;
    CpuVendor cpu_ = CpuVendor::kIntel;
    bool core_hash_by_ingress_ = false;
    Bandwidth switch_capacity_;
    std::vector<Node> nodes_;
    std::vector<Link> links_;
    std::vector<Gpu> gpus_;
    std::vector<Nic> nics_;
    std::vector<std::uint32_t> first_out_;
    std::vector<LinkId> adjacency_;
    std::size_t hosts_ = 0;
    std::size_t domains_ = 0;
    std::vector<std::pair<LinkId, Bandwidth>> impairments_;
    std::uint64_t digest_ = 0;  // without the impairments
};

/// State of the links at one time: down, or degraded to a lower rate. Starts with the fabric's own
/// impairments.
class Health {
  public:
    explicit Health(const Fabric& fabric) : rate_(fabric.links().size()) {
        for (std::size_t i = 0; i < rate_.size(); ++i) rate_[i] = fabric.links()[i].capacity;
        for (const auto& [l, rate] : fabric.impairments()) rate_[l.index()] = rate;
    }
    void set_down(LinkId l) { rate_[l.index()] = Bandwidth{0}; }
    void set_rate(LinkId l, Bandwidth rate) { rate_[l.index()] = rate; }
    [[nodiscard]] bool up(LinkId l) const { return rate_[l.index()] > Bandwidth{0}; }
    [[nodiscard]] Bandwidth rate(LinkId l) const { return rate_[l.index()]; }
    bool operator==(const Health&) const = default;

  private:
    std::vector<Bandwidth> rate_;
};

}  // namespace weft
