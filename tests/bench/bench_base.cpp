// The ground floor's arithmetic, as every event of a simulation uses it.
#include <benchmark/benchmark.h>

#include "base/rng.hpp"
#include "base/units.hpp"

namespace {

void transfer_time(benchmark::State& state) {
    weft::Bytes size{4096};
    for (auto _ : state) {
        benchmark::DoNotOptimize(size);
        benchmark::DoNotOptimize(weft::transfer_time(size, weft::Bandwidth{400'000'000'000}));
    }
}
BENCHMARK(transfer_time);

void parse_bytes(benchmark::State& state) {
    const std::string text = "64MiB";
    for (auto _ : state) benchmark::DoNotOptimize(weft::parse_bytes(text));
}
BENCHMARK(parse_bytes);

}  // namespace
