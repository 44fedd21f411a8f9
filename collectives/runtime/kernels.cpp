#include "collectives/runtime/kernels.hpp"

#include <vector>

#include "base/check.hpp"
#include "collectives/runtime/detail/kernel_levels.hpp"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace weft::live {

namespace {

#if defined(__x86_64__)
bool has_f16c() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
bool has_avx512fp16() {
    constexpr unsigned kAvx512Fp16 = 1U << 23;  // leaf 7, EDX
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAvx512Fp16) != 0;
}
#endif

std::vector<KernelLevel> detect() {
    std::vector<KernelLevel> levels{detail::baseline_kernels()};
#if defined(__x86_64__)
    // These ask the operating system too, whether it saves the registers.
    if (!__builtin_cpu_supports("avx2") || !has_f16c()) return levels;
    levels.push_back(detail::avx2_kernels());
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return levels;
    levels.push_back(detail::avx512_kernels());
    if (has_avx512fp16()) levels.push_back(detail::avx512fp16_kernels());
#endif
    return levels;
}

void check(DataType type, ReduceOp op = ReduceOp::kSum) {
    WEFT_CHECK(static_cast<std::size_t>(type) < kDataTypes.size(), "data type {}",
               static_cast<int>(type));
    WEFT_CHECK(op <= ReduceOp::kPreMulSum, "reduction {}", static_cast<int>(op));
}

}  // namespace

std::span<const KernelLevel> kernel_levels() {
    static const std::vector<KernelLevel> levels = detect();
    return levels;
}

const KernelLevel& kernel_level() {
    static const KernelLevel& best = kernel_levels().back();
    return best;
}

void reduce(DataType type, ReduceOp op, const void* incoming, const void* local, void* out,
            std::size_t count, Write write) {
    check(type, op);
    kernel_level().reduce(type, op, incoming, local, out, count, write);
}

void reduce_scaled(DataType type, const void* factor, const void* incoming, const void* local,
                   void* out, std::size_t count) {
    check(type);
    kernel_level().reduce_scaled(type, factor, incoming, local, out, count);
}

void scale(DataType type, const void* factor, const void* in, void* out, std::size_t count) {
    check(type);
    kernel_level().scale(type, factor, in, out, count);
}

void copy_past(const void* in, void* out, std::size_t bytes) {
    kernel_level().copy_past(in, out, bytes);
}

void divide(DataType type, void* data, std::size_t count, std::uint32_t n) {
    check(type);
    kernel_level().divide(type, data, count, n);
}

}  // namespace weft::live
