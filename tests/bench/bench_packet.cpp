// The packet engine: a permutation on fabrics of 1024 and 8192 hosts, 4 KiB packets, an ACK per 16
// KiB. items/s are hops of any packet; ECMP: RoCE with PFC; spraying: unordered, with trimming;
// recorded: with what an operator would see (recorder.hpp).
#include <benchmark/benchmark.h>
#include <numeric>

#include "base/rng.hpp"
#include "simulator/packet/flow_run.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft::packet {
namespace {

FlowSet permutation(std::size_t hosts, Bytes size) {
    std::vector<std::size_t> to(hosts);
    std::iota(to.begin(), to.end(), std::size_t{0});
    RandomStream draw(1, 0, "permutation");
    for (std::size_t i = hosts - 1; i > 0; --i) std::swap(to[i], to[draw.below(i + 1)]);
    FlowSet set;
    for (std::size_t i = 0; i < hosts; ++i) {
        FlowSpec f;
        f.src = GpuId{i};
        f.dst = GpuId{to[i]};
        f.size = size;
        if (to[i] != i) set.flows.push_back(f);
    }
    return set;
}

void permute(benchmark::State& state, std::size_t leaves, std::size_t hosts, Bytes size,
             Spread spread, bool record) {
    const Fabric fabric =
        make_fabric("leaf-spine", {{"leaves", std::to_string(leaves)},
                                   {"spines", std::to_string(hosts / leaves)},
                                   {"hosts_per_leaf", std::to_string(hosts / leaves)}});
    const FlowSet set = permutation(hosts, size);
    PacketOptions o;
    o.ack_every = 16_KiB;
    o.record = record;
    o.spread = spread;
    if (spread != Spread::kPath) {
        o.recovery = Recovery::kUnordered;
        o.overflow = Overflow::kTrim;
    }
    FlowRun run;
    for (auto _ : state) run = run_flows(fabric, set, o);
    const auto per_second = [&](std::uint64_t n) {
        return benchmark::Counter(static_cast<double>(n) * static_cast<double>(state.iterations()),
                                  benchmark::Counter::kIsRate);
    };
    state.counters["all_hops"] = per_second(run.totals.all_hops);
    state.counters["data_hops"] = per_second(run.totals.data_hops);
    state.counters["events"] = per_second(run.totals.events);
    state.counters["simulated_us"] = static_cast<double>(run.end.ps()) / 1e6;
}

BENCHMARK_CAPTURE(permute, 1024_ecmp, 32, 1024, 4_MiB, Spread::kPath, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(permute, 1024_ecmp_recorded, 32, 1024, 4_MiB, Spread::kPath, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(permute, 1024_entropy, 32, 1024, 4_MiB, Spread::kEntropy, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(permute, 1024_shortest, 32, 1024, 4_MiB, Spread::kShortest, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(permute, 8192_ecmp, 128, 8192, 1_MiB, Spread::kPath, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(permute, 8192_entropy, 128, 8192, 1_MiB, Spread::kEntropy, false)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::packet
