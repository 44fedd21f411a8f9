#pragma once
// The kernels, compiled once per level with other -m flags (kernels_LEVEL.cpp).
//
// The unit is a Raw: one vector register of memory, of any element type. apply<T, Op> combines two
// of them; all else (in place, streamed, tails, factors) is one loop over Raws. GCC's vector
// extension gives the arithmetic; f16 alone differs by level (half_op). fp8 is computed in f16
// lanes: a sum or product of 3- or 4-bit significands rounded to 11 bits, then to 3 or 4, is the
// one rounded once (11 >= 2 x 4 + 2). Everything is in an unnamed namespace and nothing of the
// standard library is called: code made for a wider processor must not be linked into the rest of
// the program.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "collectives/runtime/detail/kernel_levels.hpp"
#include "collectives/runtime/small_floats.hpp"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define WEFT_INLINE [[gnu::always_inline]] inline

namespace weft::live::detail {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kWidth = 64;
#elif defined(__AVX2__)
constexpr std::size_t kWidth = 32;
#else
constexpr std::size_t kWidth = 16;
#endif

template <class E>
struct VectorOf {
    typedef E Type __attribute__((vector_size(kWidth)));
};
template <class E>
using V = typename VectorOf<E>::Type;
using Raw = V<std::uint8_t>;
using V16 = V<std::uint16_t>;
using V32 = V<std::uint32_t>;
using VFloat = V<float>;

template <class E>
WEFT_INLINE V<E> splat(E x) {
    return V<E>{} + x;
}

// ---- The reductions, on vectors of a wide type ----

struct Sum {
    static constexpr bool kModular = true;  // signed integers as unsigned: they wrap
    template <class W>
    WEFT_INLINE static W of(W a, W b) {
        return a + b;
    }
};
struct Prod {
    static constexpr bool kModular = true;
    template <class W>
    WEFT_INLINE static W of(W a, W b) {
        return a * b;
    }
};
// a == a fails for NaN alone; a NaN in b fails the comparison and is chosen.
struct Min {
    static constexpr bool kModular = false;
    template <class W>
    WEFT_INLINE static W of(W a, W b) {
        const W least = a < b ? a : b;
        return a == a ? least : a;
    }
};
struct Max {
    static constexpr bool kModular = false;
    template <class W>
    WEFT_INLINE static W of(W a, W b) {
        const W most = a > b ? a : b;
        return a == a ? most : a;
    }
};

// ---- One NaN: which of two NaNs an addition returns is the compiler's choice of operands ----

WEFT_INLINE VFloat one_nan(VFloat x) {
    return x == x ? x : (VFloat)splat<std::uint32_t>(0x7fc00000U);
}
WEFT_INLINE V<double> one_nan(V<double> x) {
    return x == x ? x : (V<double>)splat<std::uint64_t>(0x7ff8000000000000U);
}

// ---- f16, as 16-bit patterns: each level has its own. Without kNan, no result can be NaN ----

#if defined(__AVX512FP16__)

template <class Op, bool kNan>
WEFT_INLINE V16 half_op(V16 a, V16 b) {
    using Halves = V<_Float16>;
    const Halves r = Op::of((Halves)a, (Halves)b);
    if constexpr (!kNan) return (V16)r;
    return (V16)(r == r ? r : (Halves)splat<std::uint16_t>(0x7e00U));
}

#elif defined(__AVX512F__)

template <class Op>
WEFT_INLINE __m256i half_of_half_op(__m256i a, __m256i b) {
    const VFloat r = Op::of((VFloat)_mm512_cvtph_ps(a), (VFloat)_mm512_cvtph_ps(b));
    return _mm512_cvtps_ph((__m512)one_nan(r), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
template <class Op, bool kNan>
WEFT_INLINE V16 half_op(V16 a, V16 b) {
    const auto x = (__m512i)a;
    const auto y = (__m512i)b;
    const __m256i low = half_of_half_op<Op>(_mm512_castsi512_si256(x), _mm512_castsi512_si256(y));
    const __m256i high =
        half_of_half_op<Op>(_mm512_extracti64x4_epi64(x, 1), _mm512_extracti64x4_epi64(y, 1));
    return (V16)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#elif defined(__AVX2__)

template <class Op>
WEFT_INLINE __m128i half_of_half_op(__m128i a, __m128i b) {
    const VFloat r = Op::of((VFloat)_mm256_cvtph_ps(a), (VFloat)_mm256_cvtph_ps(b));
    return _mm256_cvtps_ph((__m256)one_nan(r), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
template <class Op, bool kNan>
WEFT_INLINE V16 half_op(V16 a, V16 b) {
    const auto x = (__m256i)a;
    const auto y = (__m256i)b;
    const __m128i low = half_of_half_op<Op>(_mm256_castsi256_si128(x), _mm256_castsi256_si128(y));
    const __m128i high =
        half_of_half_op<Op>(_mm256_extracti128_si256(x, 1), _mm256_extracti128_si256(y, 1));
    return (V16)_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

#else

// widen() and narrow_f16() of small_floats.hpp, on the even or the odd halves in 32-bit lanes.
// The magnitudes are compared as signed, which SSE2 can.
using VInt = V<std::int32_t>;
WEFT_INLINE VFloat widen_halves(V32 x) {
    const V32 magnitude = x & 0x7fffU;
    const V32 normal = (magnitude << 13) + (112U << 23);
    const VFloat small = __builtin_convertvector((VInt)magnitude, VFloat) * 0x1p-24F;
    const V32 finite = (VInt)magnitude < 0x400 ? (V32)small : normal;
    const V32 all = (VInt)magnitude > 0x7bff ? (magnitude << 13) | 0x7f800000U : finite;
    return (VFloat)(all | ((x & 0x8000U) << 16));
}
WEFT_INLINE V32 narrow_halves(VFloat x) {
    const V32 all = (V32)x;
    const V32 bits = all & 0x7fffffffU;
    const V32 normal = (bits - 0x38000000U + 0xfffU + ((bits >> 13) & 1U)) >> 13;
    const V32 small = (V32)((VFloat)bits + 0.5F) - 0x3f000000U;
    const V32 finite = (VInt)bits < 0x38800000 ? small : normal;
    const V32 magnitude = (VInt)bits > 0x477fefff ? splat(0x7c00U) : finite;
    return x == x ? magnitude | ((all >> 16) & 0x8000U) : splat(0x7e00U);
}
template <class Op, bool kNan>
WEFT_INLINE V16 half_op(V16 a, V16 b) {
    const V32 x = (V32)a;
    const V32 y = (V32)b;
    const V32 even = narrow_halves(Op::of(widen_halves(x & 0xffffU), widen_halves(y & 0xffffU)));
    const V32 odd = narrow_halves(Op::of(widen_halves(x >> 16), widen_halves(y >> 16)));
    return (V16)(even | (odd << 16));
}

#endif

// ---- One Raw of each element type ----

template <class T>
struct Lanes {
    template <class Op>
    WEFT_INLINE static Raw apply(Raw a, Raw b) {
        if constexpr (std::is_floating_point_v<T>) {
            return (Raw)one_nan(Op::of((V<T>)a, (V<T>)b));
        } else if constexpr (Op::kModular) {
            using U = V<std::make_unsigned_t<T>>;
            return (Raw)Op::of((U)a, (U)b);
        } else {
            return (Raw)Op::of((V<T>)a, (V<T>)b);
        }
    }
};

template <>
struct Lanes<Bf16> {
    WEFT_INLINE static V32 rounded(VFloat x) {  // to the upper 16 bits; the lower are noise
        const V32 bits = (V32)x;
        return x == x ? bits + 0x7fffU + ((bits >> 16) & 1U) : splat(0x7fc00000U);
    }
    template <class Op>
    WEFT_INLINE static Raw apply(Raw a, Raw b) {
        const V32 x = (V32)a;
        const V32 y = (V32)b;
        const V32 even = rounded(Op::of((VFloat)(x << 16), (VFloat)(y << 16)));
        const V32 odd = rounded(Op::of((VFloat)(x & 0xffff0000U), (VFloat)(y & 0xffff0000U)));
        return (Raw)((even >> 16) | (odd & 0xffff0000U));
    }
};

template <>
struct Lanes<F16> {
    template <class Op>
    WEFT_INLINE static Raw apply(Raw a, Raw b) {
        return (Raw)half_op<Op, true>((V16)a, (V16)b);
    }
};

// An E5M2 is the upper byte of the f16 of the same value.
template <>
struct Lanes<Fp8E5m2> {
    WEFT_INLINE static V16 rounded(V16 half) { return half + 0x7fU + ((half >> 8) & 1U); }
    template <class Op>
    WEFT_INLINE static Raw apply(Raw a, Raw b) {
        const V16 x = (V16)a;
        const V16 y = (V16)b;
        const V16 even = rounded(half_op<Op, true>(x << 8, y << 8));
        const V16 odd = rounded(half_op<Op, true>(x & 0xff00U, y & 0xff00U));
        const Raw r = (Raw)((even >> 8) | (odd & 0xff00U));
        const Raw magnitude = r & 0x7f;
        const Raw limit = splat<std::uint8_t>(0x7b);
        const Raw saturated = (magnitude < limit ? magnitude : limit) | (r & 0x80);
        return r == 0x7e ? splat<std::uint8_t>(0x7f) : saturated;  // half_op's one NaN
    }
};

// An E4M3, shifted into an f16 of the same mantissa, is the value times 2^-8: exponents are biased
// by 7 and by 15. Sums, minima and maxima are taken in that scale, with NaN (here a finite 480)
// put in afterwards; the bits that remain of an f16 round as those of the fp8, subnormals too.
template <>
struct Lanes<Fp8E4m3> {
    WEFT_INLINE static V16 shifted(V16 high_bytes) {
        return (V16)((V<std::int16_t>)high_bytes >> 1) & 0xbf80U;  // a copied sign is masked out
    }
    template <class Op>
    WEFT_INLINE static V16 half(V16 a, V16 b) {
        if constexpr (std::is_same_v<Op, Prod>) {  // one operand in its own scale
            constexpr std::uint16_t k256 = 0x5c00;
            return half_op<Prod, false>(half_op<Prod, false>(a, splat(k256)), b);
        } else {
            return half_op<Op, false>(a, b);
        }
    }
    template <class Op>
    WEFT_INLINE static Raw apply(Raw a, Raw b) {
        const V16 x = (V16)a;
        const V16 y = (V16)b;
        const V16 even = half<Op>(shifted(x << 8), shifted(y << 8));
        const V16 odd = half<Op>(shifted(x), shifted(y));
        const V16 even_up = even + 0x3fU + ((even >> 7) & 1U);
        const V16 odd_up = odd + 0x3fU + ((odd >> 7) & 1U);
        // Eight bits of magnitude, since what is too large is not yet cut off; the sign apart.
        const Raw magnitude = (Raw)(((even_up >> 7) & 0xffU) | ((odd_up << 1) & 0xff00U));
        const Raw sign = (Raw)((even >> 8) | (odd & 0xff00U)) & 0x80;
        const Raw limit = splat<std::uint8_t>(0x7e);
        const Raw saturated = (magnitude < limit ? magnitude : limit) | sign;
        const auto nan = ((a | 0x80) == 0xff) | ((b | 0x80) == 0xff);
        return nan ? splat<std::uint8_t>(0x7f) : saturated;
    }
};

// ---- Memory ----

constexpr std::size_t kLine = 64;
/// How far ahead of the loop memory is asked for: 1.3 to 1.4 times the speed of bf16 and fp8 beyond
/// the caches, where their longer loops keep too few loads in flight; measured, 512 to 2048 bytes.
constexpr std::size_t kAhead = 2048;
static_assert(kAhead >= kLine);

WEFT_INLINE Raw load(const std::byte* p) {
    Raw x;
    __builtin_memcpy(&x, p, kWidth);
    return x;
}
struct Store {
    WEFT_INLINE void operator()(std::byte* p, Raw x) const { __builtin_memcpy(p, &x, kWidth); }
};
struct Stream {  // past the caches; p is aligned
    WEFT_INLINE void operator()(std::byte* p, Raw x) const {
#if defined(__AVX512F__)
        _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)x);
#elif defined(__AVX2__)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)x);
#elif defined(__SSE2__)
        _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)x);
#else
        Store{}(p, x);
#endif
    }
};
WEFT_INLINE void streamed_all() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/// out = f(a, b) for less than a vector.
template <class F>
WEFT_INLINE void part(const std::byte* a, const std::byte* b, std::byte* out, std::size_t bytes,
                      F f) {
    Raw x{};
    Raw y{};
    __builtin_memcpy(&x, a, bytes);
    __builtin_memcpy(&y, b, bytes);
    const Raw r = f(x, y);
    __builtin_memcpy(out, &r, bytes);
}

/// out = f(a, b), `out` perhaps one of the two.
template <class F>
WEFT_INLINE void for_vectors(const void* from_a, const void* from_b, void* to, std::size_t bytes,
                             std::size_t element, F f, Write write = Write::kBySize) {
    const auto* a = static_cast<const std::byte*>(from_a);
    const auto* b = static_cast<const std::byte*>(from_b);
    auto* out = static_cast<std::byte*>(to);
    const auto vectors = [&](std::size_t i, std::size_t end, auto put) {
        for (; i < end; i += kWidth) put(out + i, f(load(a + i), load(b + i)));
    };
    const auto lines = [&](std::size_t i, auto put) {
        for (; i + kAhead < bytes; i += kLine) {
            __builtin_prefetch(a + i + kAhead);
            __builtin_prefetch(b + i + kAhead);
            vectors(i, i + kLine, put);
        }
        return i;
    };
    std::size_t i = 0;
    const std::size_t head = -reinterpret_cast<std::uintptr_t>(to) % kWidth;
    const bool past = bytes >= (write == Write::kPast ? kWidth : kStreamedBytes);
    if (past && to != from_a && to != from_b && head % element == 0) {
        part(a, b, out, head, f);
        i = lines(head, Stream{});
        const std::size_t rest = i + (bytes - i) / kWidth * kWidth;
        vectors(i, rest, Stream{});
        i = rest;
        streamed_all();
    }
    i = lines(i, Store{});
    const std::size_t whole = i + (bytes - i) / kWidth * kWidth;
    vectors(i, whole, Store{});
    if (whole < bytes) part(a + whole, b + whole, out + whole, bytes - whole, f);
}

template <class T>
Raw repeated(const void* factor) {
    std::byte all[kWidth];
    for (std::size_t i = 0; i < kWidth; i += sizeof(T))
        __builtin_memcpy(all + i, factor, sizeof(T));
    return load(all);
}

// ---- The kernels ----

void copy_past(const void* in, void* out, std::size_t bytes) {
    for_vectors(
        in, in, out, bytes, 1, [](Raw x, Raw) { return x; }, Write::kPast);
}

/// Calls f with a value of the element type.
template <class F>
WEFT_INLINE void with_type(DataType type, F f) {
    switch (type) {
        case DataType::kF32:
            return f(float{});
        case DataType::kF64:
            return f(double{});
        case DataType::kBf16:
            return f(Bf16{});
        case DataType::kF16:
            return f(F16{});
        case DataType::kFp8E4m3:
            return f(Fp8E4m3{});
        case DataType::kFp8E5m2:
            return f(Fp8E5m2{});
        case DataType::kI8:
            return f(std::int8_t{});
        case DataType::kU8:
            return f(std::uint8_t{});
        case DataType::kI32:
            return f(std::int32_t{});
        case DataType::kU32:
            return f(std::uint32_t{});
        case DataType::kI64:
            return f(std::int64_t{});
        case DataType::kU64:
            return f(std::uint64_t{});
    }
}

template <class T, class Op>
void reduce_as(const void* incoming, const void* local, void* out, std::size_t count, Write write) {
    for_vectors(
        incoming, local, out, count * sizeof(T), sizeof(T),
        [](Raw a, Raw b) { return Lanes<T>::template apply<Op>(a, b); }, write);
}

void reduce_all(DataType type, ReduceOp op, const void* incoming, const void* local, void* out,
                std::size_t count, Write write) {
    with_type(type, [&](auto zero) {
        using T = decltype(zero);
        switch (op) {
            case ReduceOp::kSum:
            case ReduceOp::kAvg:
            case ReduceOp::kPreMulSum:
                return reduce_as<T, Sum>(incoming, local, out, count, write);
            case ReduceOp::kProd:
                return reduce_as<T, Prod>(incoming, local, out, count, write);
            case ReduceOp::kMin:
                return reduce_as<T, Min>(incoming, local, out, count, write);
            case ReduceOp::kMax:
                return reduce_as<T, Max>(incoming, local, out, count, write);
        }
    });
}

void reduce_scaled_all(DataType type, const void* factor, const void* incoming, const void* local,
                       void* out, std::size_t count) {
    with_type(type, [&](auto zero) {
        using T = decltype(zero);
        const Raw by = repeated<T>(factor);
        for_vectors(incoming, local, out, count * sizeof(T), sizeof(T), [by](Raw a, Raw b) {
            return Lanes<T>::template apply<Sum>(a, Lanes<T>::template apply<Prod>(by, b));
        });
    });
}

void scale_all(DataType type, const void* factor, const void* in, void* out, std::size_t count) {
    with_type(type, [&](auto zero) {
        using T = decltype(zero);
        const Raw by = repeated<T>(factor);
        for_vectors(in, in, out, count * sizeof(T), sizeof(T),
                    [by](Raw x, Raw) { return Lanes<T>::template apply<Prod>(by, x); });
    });
}

// Element by element, which the compiler turns into vectors where it can: one array, no alias.

WEFT_INLINE float divided(float x, std::uint32_t n) {
    const float r = x / static_cast<float>(n);
    return r == r ? r : float_of(0x7fc00000U);
}
WEFT_INLINE double divided(double x, std::uint32_t n) {
    const double r = x / static_cast<double>(n);
    return r == r ? r : __builtin_bit_cast(double, std::uint64_t{0x7ff8000000000000U});
}
WEFT_INLINE Bf16 divided(Bf16 x, std::uint32_t n) {
    return narrow_bf16(widen(x) / static_cast<float>(n));
}
WEFT_INLINE F16 divided(F16 x, std::uint32_t n) {
    return narrow_f16(widen(x) / static_cast<float>(n));
}
WEFT_INLINE Fp8E4m3 divided(Fp8E4m3 x, std::uint32_t n) {
    return narrow_e4m3(widen(x) / static_cast<float>(n));
}
WEFT_INLINE Fp8E5m2 divided(Fp8E5m2 x, std::uint32_t n) {
    return narrow_e5m2(widen(x) / static_cast<float>(n));
}
template <class T>
requires std::is_integral_v<T> WEFT_INLINE T divided(T x, std::uint32_t n) {
    // In 64 bits, since n itself need not fit into an int8.
    using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    return static_cast<T>(static_cast<Wide>(x) / static_cast<Wide>(n));
}

void divide_all(DataType type, void* data, std::size_t count, std::uint32_t n) {
    with_type(type, [&](auto zero) {
        using T = decltype(zero);
        auto* p = static_cast<std::byte*>(data);
        for (std::size_t i = 0; i < count; ++i) {
            T x;
            __builtin_memcpy(&x, p + i * sizeof(T), sizeof(T));
            x = divided(x, n);
            __builtin_memcpy(p + i * sizeof(T), &x, sizeof(T));
        }
    });
}

}  // namespace
}  // namespace weft::live::detail
