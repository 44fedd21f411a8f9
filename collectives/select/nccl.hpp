#pragma once
// NCCL's choice of algorithm, protocol and channels, as a pure function of the machine.
//
// Models: the search for rings, trees and NVLS heads as the best product of channels and a speed
// out of NCCL's lists; its tuning model, predicted = latency + bytes / rate for each (algorithm,
// protocol), least wins; how channels shrink with the size; chunks and slices. nccl-2.30 has the
// figures of facts E1. nccl-2.18 has those of 2.19 and 2.20, the nearest at hand (NVLS 23 us,
// Tree/Simple 28 us a hop, Hopper's LL like Ampere's, rings' LL at 1/4 of the rate): an assumption,
// as are balanced trees throughout, uniform ranks a host, LL128 on every path, Blackwell as Hopper
// under 2.18, and that NVLink alone holds NVLS on one host. Leaves out: CollNet (switches between
// hosts that reduce), user buffers, tuner plugins, operations in one group, chunks that shrink with
// the size. Sources: NCCL src/graph/tuning.cc and search.cc, src/enqueue.cc (facts E1); searches as
// logged in NCCL issues 892 and 1197. Units: ps, bytes, bytes/s.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "collectives/plan/plan.hpp"
#include "collectives/select/protocol.hpp"
#include "topology/fabric.hpp"

namespace weft::nccl {

enum class Version : std::uint8_t { k2_18, k2_30 };
/// "nccl-2.18", "nccl-2.30".
[[nodiscard]] const char* name_of(Version v);
[[nodiscard]] std::optional<Version> parse_version(const std::string& library);

enum class Algorithm : std::uint8_t {
    kTree,
    kRing,
    kNvls,
    kNvlsTree,
    kPat,
    kDirect,  // point to point: all-to-all, send/receive; NCCL predicts nothing for it
};
/// "nvls-tree".
[[nodiscard]] const char* name_of(Algorithm a);
[[nodiscard]] std::optional<Algorithm> parse_algorithm(const std::string& name);

/// What NCCL finds out about the hosts of one communicator.
struct Machine {
    GpuGeneration generation = GpuGeneration::kHopper;
    CpuVendor cpu = CpuVendor::kIntel;
    std::int64_t hosts = 1;  // scale-up domains
    std::int64_t ranks_per_host = 8;
    Bandwidth scale_up;       // nominal, per GPU and direction
    std::int64_t nics = 8;    // near the ranks of one host
    Bandwidth nic;            // one NIC, all its ports
    bool in_network = false;  // NVSwitch reduces and multicasts
    SimDuration nic_latency;  // as the network plugin states it
    [[nodiscard]] std::int64_t ranks() const { return hosts * ranks_per_host; }
    bool operator==(const Machine&) const = default;
};

/// What NCCL's environment variables can say.
struct Overrides {
    std::optional<Algorithm> algorithm;
    std::optional<WireProtocol> protocol;
    bool nvls = true;
    std::uint32_t max_channels = 0;  // 0: NCCL's own
};

/// What the search finds: channels, and what each carries inside a host and between hosts.
struct Graph {
    std::int64_t channels = 0;
    std::int64_t intra = 0;  // bytes/s
    std::int64_t inter = 0;
    bool operator==(const Graph&) const = default;
};

struct Candidate {
    Algorithm algorithm = Algorithm::kRing;
    WireProtocol protocol = WireProtocol::kSimple;
    std::uint32_t channels = 1;
    SimDuration latency;
    std::int64_t bytes_per_s = 0;  // of the collective's size; 0 where NCCL predicts nothing
    SimDuration predicted;         // latency + size / bytes_per_s
    bool operator==(const Candidate&) const = default;
};

/// How the bytes of a candidate are cut; all without flags.
struct Cut {
    Bytes slot;   // of the 8 of one channel and connection
    Bytes chunk;  // what one step of the algorithm handles
    Bytes slice;  // what is announced to the peer
};

class Tuner {
  public:
    Tuner(Version version, const Machine& machine, const Overrides& overrides = {});

    /// Every (algorithm, protocol) that may serve, in NCCL's order. Where the overrides leave none,
    /// rings serve, as in NCCL.
    [[nodiscard]] std::vector<Candidate> candidates(Collective kind, Bytes size) const;
    /// The least predicted of them; the first of equals.
    [[nodiscard]] static const Candidate& winner(const std::vector<Candidate>& all);
    [[nodiscard]] Candidate choose(Collective kind, Bytes size) const {
        return winner(candidates(kind, size));
    }

    [[nodiscard]] static Cut cut(Collective kind, const Candidate& c);
    /// Channels of the communicator: twice those of the rings found.
    [[nodiscard]] std::uint32_t channels() const { return channels_; }
    [[nodiscard]] std::uint32_t nvls_channels() const;
    [[nodiscard]] const Graph& ring() const { return ring_; }
    [[nodiscard]] const Graph& tree() const { return tree_; }
    [[nodiscard]] const Graph& nvls() const { return nvls_; }

  private:
    [[nodiscard]] bool has_nvls() const;
    [[nodiscard]] bool serves(Collective kind, Algorithm a, WireProtocol p) const;
    [[nodiscard]] bool allowed(Algorithm a, WireProtocol p) const;
    [[nodiscard]] std::int64_t ring_rate(Collective kind, WireProtocol p) const;
    [[nodiscard]] std::int64_t tree_rate(WireProtocol p) const;
    [[nodiscard]] std::int64_t nvls_rate(Collective kind, Algorithm a) const;
    [[nodiscard]] std::int64_t rate(Collective kind, Algorithm a, WireProtocol p) const;
    [[nodiscard]] SimDuration ring_latency(Collective kind, WireProtocol p) const;
    [[nodiscard]] SimDuration latency(Collective kind, Algorithm a, WireProtocol p) const;
    /// One hop inside a host, and between hosts.
    [[nodiscard]] SimDuration intra_hop(Algorithm a, WireProtocol p) const;
    [[nodiscard]] SimDuration inter_hop(Algorithm a, WireProtocol p) const;
    [[nodiscard]] std::uint32_t channels_for(Algorithm a, WireProtocol p, Bytes size) const;
    [[nodiscard]] Candidate candidate(Collective kind, Algorithm a, WireProtocol p,
                                      Bytes size) const;
    [[nodiscard]] Candidate point_to_point(Collective kind, Bytes size) const;

    Version version_;
    Machine machine_;
    Overrides overrides_;
    Graph ring_;
    Graph tree_;
    Graph nvls_;
    std::uint32_t channels_ = 1;
};

/// The line of NCCL's own log: "AllReduce: 8388608 Bytes -> Algo NVLS proto SIMPLE
/// channel{Lo..Hi}={0..15}".
[[nodiscard]] std::string log_line(Collective kind, Bytes size, const Candidate& c);

}  // namespace weft::nccl
