// The 15,360-GPU pod: building it, one hashed route, two disjoint paths.
#include <benchmark/benchmark.h>

#include "base/rng.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/routing/router.hpp"

namespace {

using namespace weft;

void build_hpn7(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(make_fabric("hpn7").digest());
}

/// Routes between random pairs, the same ones each run.
template <class Route>
void route_pairs(benchmark::State& state, Route route) {
    const Fabric f = make_fabric("hpn7");
    const Router router{f};
    RandomStream random{1, 0, "pairs"};
    for (auto _ : state) {
        const GpuId a{static_cast<std::size_t>(random.below(f.gpus().size()))};
        const GpuId b{static_cast<std::size_t>(random.below(f.gpus().size()))};
        route(router, router.edge(a, b), static_cast<std::uint16_t>(random.next()));
    }
    state.SetItemsProcessed(state.iterations());
}

void ecmp(benchmark::State& state) {
    route_pairs(state, [](const Router& r, const Edge& e, std::uint16_t port) {
        benchmark::DoNotOptimize(r.ecmp(e, port));
    });
}

void two_disjoint(benchmark::State& state) {
    route_pairs(state, [](const Router& r, const Edge& e, std::uint16_t) {
        benchmark::DoNotOptimize(r.disjoint_paths(e, 0, 2, 1));
    });
}

BENCHMARK(build_hpn7)->Unit(benchmark::kMillisecond);
BENCHMARK(ecmp);
BENCHMARK(two_disjoint);

}  // namespace
