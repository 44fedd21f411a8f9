#pragma once
// Legs and lanes: the paths of an edge (source GPU to destination GPU) under a library.
//
// Models: what docs/design/0001 calls the lanes of an edge. A leg is a short weighted list of
// links that many lanes share: the way out of a GPU through one NIC port, the equal-cost paths
// between two ToRs, the way in. So a lane is about three legs, whatever the number of paths it
// spreads over. `weft`: a lane per NIC port, spread over disjoint paths in proportion to their
// bottlenecks; `nccl-static`: a lane per QP, on the path its 5-tuple hashes to. Leaves out: load (a
// path never depends on traffic). With PXN an edge to another rail goes over NVLink to the GPU of
// that rail first; all its lanes do. Sources: HPN24 (facts A1: one connection per disjoint path,
// least outstanding bytes), NCCL (facts A2b: QPs with a static split).
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "simulator/flow/max_min.hpp"
#include "simulator/scenario.hpp"
#include "topology/routing/router.hpp"

namespace weft::flow {

using LegId = std::uint32_t;

struct LegPart {
    LinkId link;
    std::uint32_t weight;  // parts of kOne
};

/// The legs of one simulation, in the order in which they were first needed.
class Legs {
  public:
    LegId add(std::span<const LegPart> parts);
    [[nodiscard]] std::span<const LegPart> parts(LegId leg) const {
        return std::span{parts_}.subspan(first_[leg], first_[leg + 1] - first_[leg]);
    }
    [[nodiscard]] std::size_t size() const { return first_.size() - 1; }

  private:
    std::vector<std::uint32_t> first_{0};
    std::vector<LegPart> parts_;
};

struct LegLoad {
    LegId leg;
    std::uint32_t weight;  // parts of kOne
};

/// The lanes of one edge; a buffer to be used again.
struct EdgeLanes {
    std::vector<std::uint32_t> first{0};  // lane -> legs
    std::vector<LegLoad> legs;
    std::vector<LegLoad> before;         // of every lane to come: the way to a relay
    std::vector<std::int64_t> capacity;  // of a lane, bit/s: what shares are in proportion to
    SimDuration latency;                 // of the slowest lane
    std::int64_t alone = 0;              // bit/s of all lanes with nothing else on the fabric
    bool scale_up = false;

    void clear();
    void end_lane(std::int64_t lane_capacity);
    [[nodiscard]] std::size_t lanes() const { return capacity.size(); }
    [[nodiscard]] std::span<const LegLoad> lane(std::size_t i) const {
        return std::span{legs}.subspan(first[i], first[i + 1] - first[i]);
    }
};

/// A GPU and one of its NICs as an end of edges. Ends with equal attachments (same switches, same
/// rates) reach others over the same trunks.
struct End {
    std::uint32_t attachment = 0;
    std::vector<LegId> out;  // by NIC port
    std::vector<LegId> in;
};

/// All paths from one attachment to another that leave through one port, without the ends.
struct Trunk {
    struct Way {
        std::size_t in_port;   // of the destination NIC
        std::uint32_t weight;  // parts of kOne; the ways of a trunk sum to kOne
        LegId leg;             // kNoLeg: through one switch only
    };
    std::vector<Way> ways;  // none: unreachable through this port
    std::int64_t capacity = 0;
    SimDuration latency;
};

inline constexpr LegId kNoLeg = ~LegId{0};

/// Chooses lanes for one state of health of the fabric.
class LaneMaker {
  public:
    /// Everything given outlives the maker.
    LaneMaker(const Fabric& fabric, const Health& health, const Library& library,
              const EcmpHash& hash, Legs& legs);

    /// The lanes of an edge between two placed ranks; none when the destination cannot be reached.
    void edge(const Placement& placement, RankId src, RankId dst, std::int32_t rail,
              std::size_t channel, EdgeLanes& out);
    /// The same lanes as paths, for carriers of packets: those of one edge are alike in what they
    /// may carry. `most` disjoint paths a port, where lanes spread.
    void routes(const Placement& placement, RankId src, RankId dst, std::int32_t rail,
                std::size_t channel, std::size_t most, std::vector<Route>& out);
    /// The healthy link of a GPU to a scale-up switch that reduces in network; invalid: none.
    [[nodiscard]] LinkId reducing_switch(GpuId gpu) const;
    [[nodiscard]] NodeId hub(LinkId up) const { return fabric_->link(up).to; }
    /// One scale-up link as the only lane, for what a switch reduces or multicasts.
    void one_link(LinkId link, EdgeLanes& out);
    /// Whether the lanes of an edge draw from one pool of bytes (else each has a fixed part).
    [[nodiscard]] bool pooled() const { return pooled_; }

  private:
    void scale_up(const Edge& e, EdgeLanes& out);
    /// The GPU of the source's host that shares the destination's rail; the source without one.
    [[nodiscard]] GpuId relay(const Edge& e) const;
    /// Source ports of the queue pairs of a channel between two ranks.
    [[nodiscard]] std::vector<std::uint16_t> udp_ports(RankId src, RankId dst,
                                                       std::size_t channel) const;
    /// Puts the way to the relay before every lane to come.
    void cross(const Edge& e, EdgeLanes& out);
    void spread(const Edge& e, SimDuration to_relay, EdgeLanes& out);
    void hashed(const Edge& e, RankId src, RankId dst, std::size_t channel, EdgeLanes& out);
    [[nodiscard]] const End& end(GpuId gpu, NicId nic);
    [[nodiscard]] const Trunk& trunk(const Edge& e, std::size_t port);
    [[nodiscard]] Trunk make_trunk(const Edge& e, std::size_t port);
    /// The leg of consecutive links, each in full.
    [[nodiscard]] LegId series(std::span<const LinkId> links);

    const Fabric* fabric_;
    const Health* health_;
    Router router_;
    Legs* legs_;
    std::uint64_t seed_;
    std::uint32_t qps_;  // 0: every disjoint path
    bool pooled_;
    bool pxn_;
    // Looked up by key only, never walked.
    std::map<std::vector<LinkId>, LegId> series_;
    std::map<std::vector<std::int64_t>, std::uint32_t> attachments_;
    std::unordered_map<std::uint64_t, End> ends_;
    std::unordered_map<std::uint64_t, Trunk> trunks_;
};

}  // namespace weft::flow
