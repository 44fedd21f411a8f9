#pragma once
// What `weft bench` measures with: ranks as threads of this process, ranks as processes, or another
// library's.
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "collectives/plan/plan.hpp"
#include "collectives/runtime/data_type.hpp"
#include "tools/bench/job.hpp"

namespace weft::tools {

struct BenchConfig {
    std::string collective = "allreduce";
    std::uint32_t ranks = 2;
    std::string transport = "shm";
    std::string min_size = "8B";
    std::string max_size = "64MiB";
    std::uint32_t factor = 2;
    std::string algorithm;
    std::string dtype = "float";
    std::string op = "sum";
    std::uint32_t root = 0;
    std::uint32_t channels = 0;
    std::uint32_t planes = 2;
    std::uint32_t per_host = 0;
    std::uint32_t warmup = 5;
    std::uint32_t iterations = 20;
    bool check = true;
    std::string interfaces;
    std::string fault;    // faults that messages meet
    std::string launch;   // put before each rank's command; %r is the rank
    std::string against;  // another library
    std::uint32_t rounds = 3;
    std::string json;
    std::uint32_t patience_s = 120;
};

/// A collective that did not complete: the run failed, exit status 1.
class BenchFailed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class Runner {
  public:
    virtual ~Runner() = default;
    /// Every iteration's slowest rank, in order. BenchFailed.
    [[nodiscard]] virtual Answer run(const Job& job) = 0;
    /// In words, for the head of the table.
    [[nodiscard]] virtual std::string name() const = 0;
};

/// The plan that ranks as threads run; for the others, what the collective's buffers are.
[[nodiscard]] PlanTemplate bench_plan(const BenchConfig& config);
[[nodiscard]] std::unique_ptr<Runner> run_on_threads(const BenchConfig& config,
                                                     const PlanTemplate& plan);
[[nodiscard]] std::unique_ptr<Runner> run_on_processes(const BenchConfig& config);
/// "openmpi", "openmpi-ucx", "openmpi-tcp", "gloo". ConfigError for a library that this build has
/// not found.
[[nodiscard]] std::unique_ptr<Runner> run_on_peer(const BenchConfig& config);

}  // namespace weft::tools
