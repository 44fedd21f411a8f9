#pragma once
// What a reduction does to elements. out[i] = incoming[i] (op) local[i], in this order of operands.
//
// Integers wrap. bf16, f16 and fp8: widen to f32, one operation, round to nearest even; fp8
// saturates (small_floats.hpp). min and max propagate NaN; every NaN result is the one quiet NaN
// without sign. avg is a sum, then one divide() at the owner: integers toward zero. prod and the
// pre-multiplied sum round once per product, and the sum rounds again.
// The same bits at every level of vector instructions, for any alignment and any count; faster
// instructions are used only where they give them (f16 by AVX512-FP16: one rounding of a sum or a
// product of 11-bit significands, Figueroa 1995; not vcvtneps2bf16, which flushes subnormals).
// Assumes the default floating-point environment (to nearest, no flush to zero).
// Cost: one pass over two operands and the result; memory-bound beyond the caches.
#include <cstddef>
#include <cstdint>
#include <span>

#include "collectives/runtime/data_type.hpp"

namespace weft::live {

/// How a result is written: past the caches, or so only when there is much of it (kStreamedBytes).
/// Past them saves reading what is overwritten: 14 GB/s of copying against 5 beyond the caches,
/// but 21 against 41 within.
enum class Write : std::uint8_t { kBySize, kPast };

/// The kernels as compiled for one set of vector instructions; the functions below, by level.
struct KernelLevel {
    const char* name;  // "baseline", "avx2", "avx512", "avx512fp16"
    void (*reduce)(DataType, ReduceOp, const void* incoming, const void* local, void* out,
                   std::size_t count, Write);
    void (*reduce_scaled)(DataType, const void* factor, const void* incoming, const void* local,
                          void* out, std::size_t count);
    void (*scale)(DataType, const void* factor, const void* in, void* out, std::size_t count);
    void (*divide)(DataType, void* data, std::size_t count, std::uint32_t n);
    void (*copy_past)(const void* in, void* out, std::size_t bytes);
};

/// Those that this processor can run, the plainest first.
[[nodiscard]] std::span<const KernelLevel> kernel_levels();
/// The one that the functions below use: the last.
[[nodiscard]] const KernelLevel& kernel_level();

/// `out` may be `incoming` or `local` itself, and then stays in the caches; otherwise the three do
/// not overlap. For kAvg and kPreMulSum the sum alone: dividing and scaling are the caller's.
void reduce(DataType type, ReduceOp op, const void* incoming, const void* local, void* out,
            std::size_t count, Write write = Write::kBySize);

/// out[i] = incoming[i] + round(factor * local[i]): a pre-multiplied sum where `local` is this
/// rank's own input. The bits are those of scale(), then reduce(); the pass of its own is saved.
/// `factor` points to one element of the type.
void reduce_scaled(DataType type, const void* factor, const void* incoming, const void* local,
                   void* out, std::size_t count);

/// out[i] = round(factor * in[i]), for a rank's own input that leaves it unreduced. `out` may be
/// `in` itself.
void scale(DataType type, const void* factor, const void* in, void* out, std::size_t count);

/// data[i] = data[i] / n.
void divide(DataType type, void* data, std::size_t count, std::uint32_t n);

/// memcpy, past the caches.
void copy_past(const void* in, void* out, std::size_t bytes);

/// Outputs of at least so many bytes in one call bypass the caches.
inline constexpr std::size_t kStreamedBytes = std::size_t{4} << 20;

}  // namespace weft::live
