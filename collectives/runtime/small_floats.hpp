#pragma once
// Floating point of 8 and 16 bits as bit patterns, one element at a time: the definition that the
// vector kernels must equal. Widening is exact. Narrowing rounds to nearest, ties to even; a NaN
// becomes the one quiet NaN without sign (7fc0, 7e00, 7f). fp8 saturates: what is too large,
// infinity included, becomes the largest finite number (448, 57344), as NCCL's fp8 reductions do.
// Formats: OCP OFP8 1.0 (E4M3 has no infinity, NaN is S.1111.111; E5M2 is like IEEE), tables 1-3;
// NCCL: src/device/reduce_kernel.h over cuda_fp8.hpp's __NV_SATFINITE constructors.
// Assumes the default floating-point environment. Integer selects, so that loops vectorise.
#include <cstdint>

namespace weft::live {

struct Bf16 {
    std::uint16_t bits;
};
struct F16 {
    std::uint16_t bits;
};
struct Fp8E4m3 {
    std::uint8_t bits;
};
struct Fp8E5m2 {
    std::uint8_t bits;
};

// `static`, and no std::bit_cast: a translation unit compiled for a wider processor must not lend
// its copy of a function to the others.
static inline std::uint32_t bits_of(float x) {
    return __builtin_bit_cast(std::uint32_t, x);
}
static inline float float_of(std::uint32_t bits) {
    return __builtin_bit_cast(float, bits);
}

[[nodiscard]] static inline float widen(Bf16 x) {
    return float_of(std::uint32_t{x.bits} << 16);
}

[[nodiscard]] static inline Bf16 narrow_bf16(float x) {
    const std::uint32_t bits = bits_of(x);
    const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
    return {static_cast<std::uint16_t>(nan ? 0x7fc0U : rounded)};
}

[[nodiscard]] static inline float widen(F16 x) {
    const std::uint32_t sign = std::uint32_t{x.bits & 0x8000U} << 16;
    const std::uint32_t magnitude = x.bits & 0x7fffU;
    const std::uint32_t normal = (magnitude << 13) + (112U << 23);
    const float small = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24F;
    const std::uint32_t finite = magnitude < 0x400U ? bits_of(small) : normal;
    const bool special = magnitude >= 0x7c00U;  // infinity or NaN
    return float_of((special ? (magnitude << 13) | 0x7f800000U : finite) | sign);
}

[[nodiscard]] static inline F16 narrow_f16(float x) {
    const std::uint32_t all = bits_of(x);
    const std::uint32_t sign = (all >> 16) & 0x8000U;
    const std::uint32_t bits = all & 0x7fffffffU;
    // Normal results: rebias the exponent by -112 and round on bit 13.
    const std::uint32_t normal = (bits - 0x38000000U + 0xfffU + ((bits >> 13) & 1U)) >> 13;
    // Results below 2^-14: adding 0.5 leaves the subnormal's bits, rounded, at the mantissa's end.
    const std::uint32_t small = bits_of(float_of(bits) + 0.5F) - 0x3f000000U;
    const std::uint32_t finite = bits < 0x38800000U ? small : normal;
    const std::uint32_t magnitude = bits >= 0x477ff000U ? 0x7c00U : finite;
    return {static_cast<std::uint16_t>(bits > 0x7f800000U ? 0x7e00U : magnitude | sign)};
}

[[nodiscard]] static inline float widen(Fp8E5m2 x) {
    return widen(F16{static_cast<std::uint16_t>(std::uint32_t{x.bits} << 8)});
}

[[nodiscard]] static inline Fp8E5m2 narrow_e5m2(float x) {
    const std::uint32_t all = bits_of(x);
    const std::uint32_t bits = all & 0x7fffffffU;
    const std::uint32_t normal = (bits - 0x38000000U + 0xfffffU + ((bits >> 21) & 1U)) >> 21;
    const std::uint32_t small = bits_of(float_of(bits) + 128.0F) - 0x43000000U;
    const std::uint32_t finite = bits < 0x38800000U ? small : normal;
    const std::uint32_t magnitude = (finite > 0x7bU ? 0x7bU : finite) | ((all >> 24) & 0x80U);
    return {static_cast<std::uint8_t>(bits > 0x7f800000U ? 0x7fU : magnitude)};
}

[[nodiscard]] static inline float widen(Fp8E4m3 x) {
    const std::uint32_t sign = std::uint32_t{x.bits & 0x80U} << 24;
    const std::uint32_t magnitude = x.bits & 0x7fU;
    const std::uint32_t normal = (magnitude << 20) + (120U << 23);
    const float small = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-9F;
    const std::uint32_t finite = magnitude < 8U ? bits_of(small) : normal;
    return float_of((magnitude == 0x7fU ? 0x7fc00000U : finite) | sign);
}

[[nodiscard]] static inline Fp8E4m3 narrow_e4m3(float x) {
    const std::uint32_t all = bits_of(x);
    const std::uint32_t bits = all & 0x7fffffffU;
    const std::uint32_t normal = (bits - 0x3c000000U + 0x7ffffU + ((bits >> 20) & 1U)) >> 20;
    const std::uint32_t small = bits_of(float_of(bits) + 16384.0F) - 0x46800000U;
    const std::uint32_t finite = bits < 0x3c800000U ? small : normal;
    const std::uint32_t magnitude = (finite > 0x7eU ? 0x7eU : finite) | ((all >> 24) & 0x80U);
    return {static_cast<std::uint8_t>(bits > 0x7f800000U ? 0x7fU : magnitude)};
}

}  // namespace weft::live
