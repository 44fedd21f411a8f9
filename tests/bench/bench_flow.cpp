// The flow engine: the solver alone, and whole simulations.
#include <benchmark/benchmark.h>

#include "base/rng.hpp"
#include "simulator/flow/max_min.hpp"
#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

void max_min(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const std::size_t links = rows / 4 + 4;
    RandomStream draw(1, 0, "bench");
    flow::Incidence loads;
    std::vector<std::uint32_t> active;
    for (std::size_t r = 0; r < rows; ++r) {
        const auto first = static_cast<std::uint32_t>(draw.below(links / 2));
        loads.add(first, flow::kFull);
        loads.add(first + static_cast<std::uint32_t>(links / 2), flow::kFull / 2);
        loads.end_row();
        active.push_back(static_cast<std::uint32_t>(r));
    }
    flow::MaxMin solver(loads, links);
    solver.set_capacity(std::vector<std::int64_t>(links, 400'000'000'000));
    std::vector<std::int64_t> rates;
    for (auto _ : state) {
        solver.solve(active, rates);
        benchmark::DoNotOptimize(rates.data());
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(max_min)->Arg(64)->Arg(4096)->Arg(65536);

void all_reduce(benchmark::State& state) {
    const Fabric fabric = make_fabric("hpn7");
    const auto ranks = static_cast<std::uint32_t>(state.range(0));
    Workload w;
    w.world = ranks;
    w.program_of.assign(ranks, 0);
    w.families = {{"world", {ranks, 1, {}, {}}}};
    Op op;
    op.what = CollectiveOp{Collective::kAllReduce, 0, Bytes{1 << 30}};
    w.programs = {{"all", {""}, {op}}};
    Scenario s;
    s.fabric = &fabric;
    s.workload = &w;
    s.placement = packed_placement(fabric, ranks);
    for (auto _ : state) benchmark::DoNotOptimize(simulate(s).step_time);
}
BENCHMARK(all_reduce)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft
