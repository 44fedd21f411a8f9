// Reduction kernels beside memcpy of the same bytes: their ratio is the figure to watch, since both
// are bound by memory beyond the caches. bytes/s counts one operand.
#include <benchmark/benchmark.h>
#include <cstring>
#include <vector>

#include "collectives/runtime/kernels.hpp"

namespace {

using weft::live::DataType;
using weft::live::ReduceOp;

void bench_memcpy(benchmark::State& state) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    std::vector<std::byte> from(bytes);
    std::vector<std::byte> to(bytes);
    for (auto _ : state) {
        std::memcpy(to.data(), from.data(), bytes);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void bench_reduce(benchmark::State& state, DataType type, ReduceOp op) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    std::vector<std::byte> incoming(bytes);
    std::vector<std::byte> local(bytes);
    for (auto _ : state) {
        weft::live::reduce(type, op, incoming.data(), local.data(), local.data(),
                           bytes / weft::live::size_of(type));
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void sizes(benchmark::internal::Benchmark* b) {
    b->Arg(64 << 10)->Arg(1 << 20)->Arg(16 << 20);
}

BENCHMARK(bench_memcpy)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, float_sum, DataType::kF32, ReduceOp::kSum)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, float_max, DataType::kF32, ReduceOp::kMax)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, double_sum, DataType::kF64, ReduceOp::kSum)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, bfloat16_sum, DataType::kBf16, ReduceOp::kSum)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, half_sum, DataType::kF16, ReduceOp::kSum)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, int8_sum, DataType::kI8, ReduceOp::kSum)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, int32_sum, DataType::kI32, ReduceOp::kSum)->Apply(sizes);
BENCHMARK_CAPTURE(bench_reduce, int64_min, DataType::kI64, ReduceOp::kMin)->Apply(sizes);

}  // namespace
