#pragma once
// Router: the port-level path of one flow, chosen from the equal-cost sets that the fabric's
// structure gives.
//
// Models: scale-up links first inside a domain; shortest up-then-down paths over the switches;
// ECMP by a hash of the 5-tuple with real polarisation (hash.hpp); the choice of port by a bonded
// NIC; the plane rule (on a dual-plane fabric port p leads into plane p and arrives at port p);
// dual-ToR (a switch may pick either ToR of the destination NIC); HPN's core, which hashes by
// ingress port alone; failures (Health) after routing has converged.
// Leaves out: queues and load (a route never depends on traffic), the time routing takes to
// converge (Failure::convergence of a Scenario), relaying through a third GPU (PXN).
// Cost: distances over switches only, one array per set of ToRs a destination hangs on, made on
// first use; a route is then a few table look-ups. Source: HPN24 (facts A1).
// Thread-compatible: one Router per thread, no global state.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "topology/fabric.hpp"
#include "topology/routing/hash.hpp"

namespace weft {

/// Directed links from GPU to GPU: PCIe, access, fabric ..., access, PCIe; or scale-up links. Empty
/// when both ends are the same GPU.
struct Route {
    std::vector<LinkId> links;
    bool operator==(const Route&) const = default;
};

/// Sum of the links' latencies.
[[nodiscard]] SimDuration latency(const Fabric& fabric, const Route& route);
/// Smallest capacity on the way (after `health`, when given).
[[nodiscard]] Bandwidth bottleneck(const Fabric& fabric, const Route& route,
                                   const Health* health = nullptr);

/// The two ends of a connection and the NICs it uses; no NICs inside a scale-up domain.
struct Edge {
    GpuId src;
    GpuId dst;
    NicId src_nic;
    NicId dst_nic;
    [[nodiscard]] bool scale_up() const { return !src_nic.valid(); }
};

struct RoutingOptions {
    EcmpHash hash;  // how switches and bonded NICs hash
};

class Router {
  public:
    /// `fabric` and `health` outlive the router; no health means the fabric's own impairments
    /// alone.
    explicit Router(const Fabric& fabric, RoutingOptions options = {},
                    const Health* health = nullptr);
    ~Router();
    Router(Router&&) noexcept;
    Router& operator=(Router&&) noexcept;

    /// Call after a change of the Health object.
    void health_changed();

    /// The GPU's NIC on `rail`, when it owns one there; else its nearest NIC.
    [[nodiscard]] NicId nic_for(GpuId gpu, std::int32_t rail = kAny) const;
    /// How src reaches dst: over the scale-up domain they share (when its links are up), else NIC
    /// to NIC. Both ends use `rail` when both own a NIC there, else each its nearest NIC.
    [[nodiscard]] Edge edge(GpuId src, GpuId dst, std::int32_t rail = kAny) const;
    /// All ways that a library has which is free to choose: without a rail, one from each NIC that
    /// src owns to dst's on its rail, where there is one; else edge() alone.
    [[nodiscard]] std::vector<Edge> edges(GpuId src, GpuId dst, std::int32_t rail = kAny) const;

    /// The path of one QP as switches hash it: 5-tuple = (NICs' addresses, UDP source port, 4791,
    /// UDP). The bonded NIC picks the port by the same kind of hash among those that lead to the
    /// destination; with `nic_port` given the QP is bound to that port (queue affinity of a RoCE
    /// bond) as long as it leads there. nullopt: unreachable. A scale-up edge has one path whatever
    /// the source port.
    [[nodiscard]] std::optional<Route> ecmp(const Edge& e, std::uint16_t udp_source_port,
                                            std::optional<std::size_t> nic_port = {}) const;

    /// Up to `max` equal-cost paths that leave through port `port` of the source NIC and share no
    /// switch-to-switch link. On a dual-plane fabric port = plane; else the path prefers to arrive
    /// at the same port number of the destination. The order is rotated by a hash of (source NIC,
    /// destination NIC, seed), so that NICs do not all start on one uplink (docs/design/0001).
    /// Empty: unreachable through that port. A scale-up edge: its one path.
    [[nodiscard]] std::vector<Route> disjoint_paths(const Edge& e, std::size_t port,
                                                    std::size_t max, std::uint64_t seed = 0) const;

    /// The equal-cost links from a switch towards another one, in port order; none at that switch,
    /// and where it cannot be reached.
    [[nodiscard]] const std::vector<LinkId>& next_hops(NodeId at, NodeId last) const;

    /// Ports of the edge's source NIC, each of which disjoint_paths() may be asked for; 1 for
    /// scale-up.
    [[nodiscard]] std::size_t ports(const Edge& e) const;

    [[nodiscard]] const Fabric& fabric() const { return *fabric_; }

  private:
    struct Field;  // distances to one set of ToRs, and the next hops they imply
    struct Cache;
    struct Walk;

    [[nodiscard]] bool up(LinkId l) const { return health_ == nullptr || health_->up(l); }
    [[nodiscard]] LinkId pcie_link(GpuId gpu, NicId nic) const;
    [[nodiscard]] std::optional<Route> scale_up(GpuId src, GpuId dst) const;
    [[nodiscard]] Field& field(const std::vector<NodeId>& tors) const;
    [[nodiscard]] const std::vector<LinkId>& next_hops(Field& f, NodeId at) const;
    /// Healthy ports of dst that a packet leaving through `port` of src can arrive at.
    [[nodiscard]] std::vector<LinkId> arrivals(NicId src, std::size_t port, NicId dst) const;
    [[nodiscard]] std::uint32_t pick(std::uint32_t crc, NodeId at, std::size_t n) const;
    [[nodiscard]] bool hashes_by_ingress(NodeId at) const;
    [[nodiscard]] bool find_disjoint(Walk& walk, NodeId at, std::vector<LinkId>& path) const;
    [[nodiscard]] std::optional<std::size_t> choose_port(const Edge& e, std::uint32_t crc,
                                                         std::optional<std::size_t> bound) const;

    const Fabric* fabric_;
    const Health* health_;
    RoutingOptions options_;
    std::unique_ptr<Cache> cache_;
};

}  // namespace weft
