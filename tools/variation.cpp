#include "tools/variation.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

#include "simulator/execute/seeds.hpp"
#include "tools/flags.hpp"

namespace weft::tools {

void add_compute_flags(CLI::App& sub, VariationOptions& o) {
    sub.add_option("--overlap", o.overlap,
                   "ideal; sm: communication takes SMs and memory from compute; copy-engine: only "
                   "memory; with figures: sm:sms=132,blocks=132,held=24,own=52.7%,memory=27%")
        ->capture_default_str();
    sub.add_option("--jitter", o.jitter,
                   "how far ranks compute apart: noise=2%,stragglers=0.5%:15%,stalls=0.01%:20ms "
                   "(sigma; ranks that are slower, by how much; ops that stall, how long)")
        ->capture_default_str();
}

void add_seed_flags(CLI::App& sub, VariationOptions& o) {
    sub.add_option("--seeds", o.seeds, "simulate so many seeds from --seed on: p50, p90, p99")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    sub.add_option("-j,--jobs", o.jobs, "threads for --seeds (0: one a core); same answer")
        ->check(CLI::Range(0, 1024))
        ->capture_default_str();
}

void apply(const VariationOptions& o, Scenario& s) {
    s.overlap = parse_flag("--overlap", o.overlap, parse_overlap);
    s.jitter = parse_flag("--jitter", o.jitter, parse_jitter);
}

Result simulate_with_seeds(const VariationOptions& o, const Scenario& s,
                           const ProgressSink& progress) {
    if (o.seeds == 1) return simulate(s, progress);
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    const unsigned threads = std::min(o.jobs == 0 ? cores : o.jobs, o.seeds);
    std::vector<SeedRun> runs = simulate_seeds(s, o.seeds, threads, progress);
    Scenario median = s;
    median.seed = percentile(runs, 50).seed;
    Result r = simulate(median, progress);
    r.bands.push_back({.low = percentile(runs, 5).step_time,
                       .high = percentile(runs, 95).step_time,
                       .by = fmt::format("{} seeds", o.seeds),
                       .parts = {}});
    r.seeds = std::move(runs);
    return r;
}

Scenario run_of(const Result& r, const Scenario& s) {
    Scenario run = s;
    if (!r.seeds.empty()) run.seed = percentile(r.seeds, 50).seed;
    return run;
}

}  // namespace weft::tools
