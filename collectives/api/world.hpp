#pragma once
// World: this process's part of a job. Joins the other ranks, learns which of them share its host
// and by which NIC ports the others are reached, makes the endpoints, and owns the engine that
// moves the data of all communicators over this world.
//
// Who is reached how: ranks of one host through shared memory, others over TCP lanes between ports
// of equal rail and plane. What the hosts are made of is a Fabric (job_fabric.hpp), discovered or
// from a file. The transport can be forced: "shm", "tcp", or "verbs" and "mpi", by
// which ranks of one host reach each other too.
// Threads: any. Leaves out: collectives (comm.hpp).
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/api/job_fabric.hpp"
#include "collectives/runtime/engine.hpp"
#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/net/world.hpp"
#include "topology/placement.hpp"

namespace weft::live {

class ShmEndpoint;

struct WorldOptions {
    /// "auto", "shm", "tcp", "verbs", "mpi".
    std::string transport = "auto";
    /// NIC ports to listen on and connect from (net/ports.hpp). Empty: the loopback address alone.
    std::string interfaces;
    /// Sets ranks of one machine apart as if they were on several hosts.
    std::string host;
    /// A fabric file that says what the job runs on; empty: the ranks' machines are asked.
    std::string fabric;
    std::string algorithm;  // empty: chosen by size and shape; else "ring", "hierarchical", ...
    std::uint32_t paths = 1;
    bool verify = false;  // a CRC over what TCP carries, end to end
    /// For tests: faults that messages and lanes meet, as text (transport/fault/fault.hpp). All
    /// collectives go by messages then.
    std::string fault;
    bool background = true;  // a thread moves asynchronous operations while nobody waits
    bool doctor = true;      // `weft doctor` of the same user may ask how things stand
    std::chrono::milliseconds meet_within{60'000};
    std::chrono::milliseconds patience{30'000};
};
/// Reads WEFT_TRANSPORT, WEFT_INTERFACES, WEFT_HOST, WEFT_FABRIC, WEFT_ALGORITHM, WEFT_PATHS,
/// WEFT_VERIFY, WEFT_BACKGROUND, WEFT_DOCTOR, WEFT_MEET_WITHIN, WEFT_PATIENCE ("30s") over the
/// defaults. ConfigError names the variable. The one place of the library that looks at the
/// environment.
[[nodiscard]] WorldOptions world_options_from_environment();

class World {
  public:
    /// Blocks until all ranks have met. ConfigError for options that make no sense.
    [[nodiscard]] static Outcome<std::shared_ptr<World>> join(const UniqueId& id,
                                                              std::uint32_t rank,
                                                              std::uint32_t ranks,
                                                              const WorldOptions& options);
    /// Says farewell, so that nobody takes this rank for dead.
    ~World();
    /// For tests of death: ends without a farewell, as a process that is killed.
    void vanish() { farewell_ = false; }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] std::uint32_t rank() const { return control_->rank(); }
    [[nodiscard]] std::uint32_t ranks() const { return control_->ranks(); }
    [[nodiscard]] const WorldOptions& options() const { return options_; }
    [[nodiscard]] Engine& engine() { return *engine_; }
    [[nodiscard]] NetControl& control() { return *control_; }
    /// Hosts of these world ranks, their sizes and NICs, as the algorithms want them.
    [[nodiscard]] GroupShape shape(const std::vector<std::uint32_t>& members) const {
        return place_->shape(members);
    }
    /// By rank: a number for its host, from 0 in order of first rank.
    [[nodiscard]] const std::vector<std::uint32_t>& hosts() const { return place_->hosts(); }
    /// What the job runs on, the same at all ranks.
    [[nodiscard]] const JobFabric& place() const { return *place_; }
    /// Of the ranks that share memory with this one; null without.
    [[nodiscard]] ShmEndpoint* shared_memory() const { return shm_; }
    /// The first of the contexts that nobody at this rank has used (pairs.hpp).
    [[nodiscard]] ContextId next_context() const { return next_context_; }
    void used_contexts_below(ContextId context) {
        next_context_ = std::max(next_context_, context);
    }

  private:
    World() = default;
    static void check(const WorldOptions& options, std::uint32_t rank, std::uint32_t ranks);
    Status route(std::unique_ptr<Endpoint> near, std::unique_ptr<Endpoint> far);

    WorldOptions options_;
    std::unique_ptr<NetControl> control_;
    std::unique_ptr<Endpoint> endpoint_;
    std::unique_ptr<Engine> engine_;
    ShmEndpoint* shm_ = nullptr;
    std::unique_ptr<JobFabric> place_;
    ContextId next_context_ = 1;
    bool farewell_ = true;
};

}  // namespace weft::live
