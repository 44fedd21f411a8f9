#pragma once
// Scenario: all that decides a result. fabric + placement + workload + library + endpoint +
// failures + seed. Engines are functions simulate(Scenario) -> Result (simulator/execute).
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "collectives/plan/plan.hpp"
#include "collectives/select/nccl.hpp"
#include "simulator/endpoint/profile.hpp"
#include "simulator/jitter/jitter.hpp"
#include "simulator/overlap/overlap.hpp"
#include "simulator/packet/options.hpp"
#include "topology/fabric.hpp"
#include "topology/failure.hpp"
#include "topology/placement.hpp"
#include "topology/routing/hash.hpp"
#include "traces/results.hpp"
#include "traces/workload.hpp"

namespace weft {

enum class NetworkModel : std::uint8_t { kAnalytic, kFlow, kPacket };
[[nodiscard]] constexpr const char* name_of(NetworkModel m) {
    constexpr const char* kNames[] = {"analytic", "flow", "packet"};
    return kNames[static_cast<std::size_t>(m)];
}
enum class EndpointModel : std::uint8_t { kIdeal, kCalibrated, kDetailed };
[[nodiscard]] constexpr const char* name_of(EndpointModel m) {
    constexpr const char* kNames[] = {"ideal", "calibrated", "detailed"};
    return kNames[static_cast<std::size_t>(m)];
}

/// How collectives are really carried (facts A1, A2b). `weft`: QPs pinned to disjoint paths,
/// messages go to the path with the least outstanding bytes. `nccl-static`: a fixed number of QPs
/// per connection whose 5-tuples are hashed at every hop, bytes split evenly over the QPs whatever
/// the paths do. `nccl-2.18`, `nccl-2.30`: the same, and NCCL's choice of algorithm and protocol
/// (execute/nccl_choice.hpp), PXN.
enum class Bonding : std::uint8_t {
    kInTurn,  // QP i leaves by port i mod ports (mlx5's queue affinity; the default of nccl-static)
    kHash,    // by hash of the 5-tuple
};
struct Library {
    std::string name = "weft";             // one of library_names()
    Bonding bonding = Bonding::kInTurn;    // how QPs fall on the ports of a NIC (nccl-static)
    std::uint32_t qps_per_connection = 0;  // 0: the library's own default
    std::uint32_t channels = 0;            // 0: the algorithm's own default
    /// Bytes for another rail cross to it over NVLink in their own host (NCCL since 2.12); rings
    /// then walk all hosts the same way.
    bool pxn = false;
    bool nvls = true;         // NCCL_NVLS_ENABLE
    bool merge_ports = true;  // the ports of a NIC are one device to NCCL (NCCL_NET_MERGE_LEVEL)
    std::string algorithm;    // empty: the library's own choice by collective
    /// The Plan of every group it fits (collective, ranks); outlives the simulation. null: built
    /// here.
    const PlanTemplate* plan = nullptr;
};

[[nodiscard]] inline std::vector<std::string> library_names() {
    return {"weft", "nccl-static", nccl::name_of(nccl::Version::k2_18),
            nccl::name_of(nccl::Version::k2_30)};
}
/// Bytes are split over hashed QPs whatever the paths do.
[[nodiscard]] inline bool splits_statically(const Library& l) {
    return l.name != "weft";
}
/// The NCCL that decides on algorithms and protocols; none: Weft does.
[[nodiscard]] inline std::optional<nccl::Version> nccl_version(const Library& l) {
    return nccl::parse_version(l.name);
}
[[nodiscard]] inline bool uses_pxn(const Library& l) {
    return l.pxn || nccl_version(l);
}

struct Scenario {
    const Fabric* fabric = nullptr;      // outlives the simulation
    const Workload* workload = nullptr;  // outlives the simulation
    Placement placement;
    Library library;
    NetworkModel network = NetworkModel::kFlow;
    EndpointModel endpoint = EndpointModel::kCalibrated;
    MachineProfile machine = nccl_tuning_profile();  // the figures of both
    packet::PacketOptions packet;                    // what `packet` does with packets
    std::vector<Failure> failures;
    HashSeeds hash_seeds = HashSeeds::kSame;  // which switches hash alike (polarisation)
    Overlap overlap;                          // how communication slows compute
    Jitter jitter;                            // how far ranks compute apart
    std::uint64_t seed = 1;                   // ECMP hash seeds, 5-tuples and jitter derive from it
    bool symmetry = true;  // false: every rank and flow by itself; the same answer
};

/// Runs the workload once. Deterministic: same Scenario, same Result, bit for bit.
[[nodiscard]] Result simulate(const Scenario& s, const ProgressSink& progress = {});

}  // namespace weft
