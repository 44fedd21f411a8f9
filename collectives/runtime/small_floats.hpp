#pragma once
// 16-bit floating point as bit patterns. Widening is exact; narrowing rounds to nearest even and
// keeps NaN a (quiet) NaN. Written with integer selects so that loops over them vectorise.
#include <bit>
#include <cstdint>

namespace weft::live {

struct Bf16 {
    std::uint16_t bits = 0;
};
struct F16 {
    std::uint16_t bits = 0;
};

[[nodiscard]] inline float widen(Bf16 x) {
    return std::bit_cast<float>(std::uint32_t{x.bits} << 16);
}

[[nodiscard]] inline Bf16 narrow_bf16(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const std::uint32_t quiet = (bits >> 16) | 0x40U;
    const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
    return {static_cast<std::uint16_t>(nan ? quiet : rounded)};
}

[[nodiscard]] inline float widen(F16 x) {
    // Shift the exponent and mantissa into place, then scale by 2^112: exact for subnormals too.
    const std::uint32_t magnitude = std::uint32_t{x.bits & 0x7fffU} << 13;
    const std::uint32_t sign = std::uint32_t{x.bits & 0x8000U} << 16;
    const float scaled = std::bit_cast<float>(magnitude) * 0x1.0p112F;
    const bool special = (x.bits & 0x7c00U) == 0x7c00U;  // infinity or NaN
    const std::uint32_t bits =
        special ? (magnitude | 0x7f800000U) : std::bit_cast<std::uint32_t>(scaled);
    return std::bit_cast<float>(bits | sign);
}

[[nodiscard]] inline F16 narrow_f16(float x) {
    const auto all = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t sign = (all >> 16) & 0x8000U;
    const std::uint32_t bits = all & 0x7fffffffU;
    // Normal results: rebias the exponent by -112 and round on bit 13.
    const std::uint32_t normal = (bits - 0x38000000U + 0xfffU + ((bits >> 13) & 1U)) >> 13;
    // Results below 2^-14: adding 0.5 leaves the subnormal's bits, rounded, at the mantissa's end.
    const float shifted = std::bit_cast<float>(bits) + 0.5F;
    const std::uint32_t small = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U;
    const std::uint32_t infinity_or_nan = bits > 0x7f800000U ? 0x7e00U : 0x7c00U;
    const std::uint32_t finite = bits < 0x38800000U ? small : normal;
    const std::uint32_t magnitude = bits >= 0x477ff000U ? infinity_or_nan : finite;
    return {static_cast<std::uint16_t>(magnitude | sign)};
}

}  // namespace weft::live
