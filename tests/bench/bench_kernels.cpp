// Reduction kernels beside memcpy: a roofline. A row runs the kernel and, alternating with it,
// memcpy between arrays of the same size. The counter `roofline` is the kernel's traffic per second
// (two operands read, one result written) over memcpy's (one read, one written); `GB/s` counts one
// operand. 64 KiB lies in the caches of a core, 64 MiB beyond those of most processors.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "collectives/runtime/kernels.hpp"

namespace {

using namespace weft::live;

enum class Place { kInPlace, kApart };

using Bytes = std::unique_ptr<std::byte, decltype(&std::free)>;
Bytes pages(std::size_t bytes) {
    Bytes p{static_cast<std::byte*>(std::aligned_alloc(4096, bytes)), &std::free};
    std::memset(p.get(), 0x11, bytes);  // a small normal number of every floating type
    return p;
}

template <class F>
double seconds(F f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    benchmark::ClobberMemory();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double>& x) {
    const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
    std::nth_element(x.begin(), middle, x.end());
    return *middle;
}

void roofline(benchmark::State& state, const KernelLevel& level, DataType type, ReduceOp op,
              Place place) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    const Bytes a = pages(bytes);
    const Bytes b = pages(bytes);
    const Bytes out = pages(bytes);
    std::byte* to = place == Place::kInPlace ? b.get() : out.get();
    // Small arrays: as often as the clock needs to be exact.
    const std::size_t times = std::max<std::size_t>(1, (std::size_t{1} << 20) / bytes);
    std::vector<double> copy;
    std::vector<double> kernel;
    for (auto _ : state) {
        copy.push_back(seconds([&] {
            for (std::size_t i = 0; i < times; ++i) {
                std::memcpy(out.get(), a.get(), bytes);
                benchmark::ClobberMemory();
            }
        }));
        kernel.push_back(seconds([&] {
            for (std::size_t i = 0; i < times; ++i) {
                level.reduce(type, op, a.get(), b.get(), to, bytes / size_of(type), Write::kBySize);
                benchmark::ClobberMemory();
            }
        }));
        state.SetIterationTime(kernel.back());
    }
    const double k = median(kernel);
    state.counters["roofline"] = 3.0 / 2.0 * median(copy) / k;
    state.counters["GB/s"] = static_cast<double>(bytes * times) / k / 1e9;
}

void add(const KernelLevel& level, DataType type, ReduceOp op, Place place) {
    const std::string name = std::string(level.name) + "/" + name_of(type) + "_" + name_of(op) +
                             (place == Place::kInPlace ? "" : "_apart");
    benchmark::RegisterBenchmark(name.c_str(),
                                 [&level, type, op, place](benchmark::State& state) {
                                     roofline(state, level, type, op, place);
                                 })
        ->Arg(64 << 10)
        ->Arg(1 << 20)
        ->Arg(64 << 20)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

// The level in use for all types and reductions; a sum of each type for the others.
const bool kRegistered = [] {
    for (const DataType type : kDataTypes)
        for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMax})
            add(kernel_level(), type, op, Place::kInPlace);
    for (const DataType type : {DataType::kF32, DataType::kBf16})
        add(kernel_level(), type, ReduceOp::kSum, Place::kApart);
    for (const KernelLevel& level : kernel_levels())
        for (const DataType type : kDataTypes)
            if (&level != &kernel_level()) add(level, type, ReduceOp::kSum, Place::kInPlace);
    return true;
}();

}  // namespace
