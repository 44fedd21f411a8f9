#include "collectives/runtime/kernels.hpp"

#include <type_traits>

#include "base/check.hpp"
#include "collectives/runtime/small_floats.hpp"

namespace weft::live {

namespace {

// How each element type is computed with: load widens, store narrows.
template <class T>
struct Arithmetic {
    using Wide = T;
    static T load(T x) { return x; }
    static T store(T x) { return x; }
};
template <>
struct Arithmetic<Bf16> {
    using Wide = float;
    static float load(Bf16 x) { return widen(x); }
    static Bf16 store(float x) { return narrow_bf16(x); }
};
template <>
struct Arithmetic<F16> {
    using Wide = float;
    static float load(F16 x) { return widen(x); }
    static F16 store(float x) { return narrow_f16(x); }
};

struct Sum {
    template <class T>
    static T apply(T a, T b) {
        if constexpr (std::is_integral_v<T>) {
            using Unsigned = std::make_unsigned_t<T>;  // wraps, where signed overflow is undefined
            return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
        } else {
            return a + b;
        }
    }
};
// a != a only for NaN; a NaN in b fails the comparison and is chosen.
struct Min {
    template <class T>
    static T apply(T a, T b) {
        return (a < b) | (a != a) ? a : b;
    }
};
struct Max {
    template <class T>
    static T apply(T a, T b) {
        return (a > b) | (a != a) ? a : b;
    }
};

// Two loops, because a loop that may write where it reads is not vectorised.
template <class T, class Op>
void reduce_as(const void* incoming, const void* local, void* out, std::size_t count) {
    using A = Arithmetic<T>;
    const T* __restrict a = static_cast<const T*>(incoming);
    T* __restrict to = static_cast<T*>(out);
    if (local == out) {
        for (std::size_t i = 0; i < count; ++i)
            to[i] = A::store(Op::apply(A::load(a[i]), A::load(to[i])));
        return;
    }
    const T* __restrict b = static_cast<const T*>(local);
    for (std::size_t i = 0; i < count; ++i)
        to[i] = A::store(Op::apply(A::load(a[i]), A::load(b[i])));
}

template <class T>
void divide_as(void* data, std::size_t count, std::uint32_t n) {
    using A = Arithmetic<T>;
    using Wide = typename A::Wide;
    T* p = static_cast<T*>(data);
    if constexpr (std::is_integral_v<T>) {
        // In 64 bits, since n itself need not fit into an int8.
        using Wide64 = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
        for (std::size_t i = 0; i < count; ++i)
            p[i] = static_cast<T>(static_cast<Wide64>(p[i]) / static_cast<Wide64>(n));
    } else {
        const auto divisor = static_cast<Wide>(n);
        for (std::size_t i = 0; i < count; ++i) p[i] = A::store(A::load(p[i]) / divisor);
    }
}

/// Calls f with a value of the element type.
template <class F>
void with_type(DataType type, F f) {
    switch (type) {
        case DataType::kF32:
            return f(float{});
        case DataType::kF64:
            return f(double{});
        case DataType::kBf16:
            return f(Bf16{});
        case DataType::kF16:
            return f(F16{});
        case DataType::kI8:
            return f(std::int8_t{});
        case DataType::kU8:
            return f(std::uint8_t{});
        case DataType::kI32:
            return f(std::int32_t{});
        case DataType::kI64:
            return f(std::int64_t{});
        case DataType::kU64:
            return f(std::uint64_t{});
    }
    WEFT_CHECK(false, "data type {}", static_cast<int>(type));
}

}  // namespace

void reduce(DataType type, ReduceOp op, const void* incoming, const void* local, void* out,
            std::size_t count) {
    with_type(type, [&](auto zero) {
        using T = decltype(zero);
        switch (op) {
            case ReduceOp::kSum:
            case ReduceOp::kAvg:
                return reduce_as<T, Sum>(incoming, local, out, count);
            case ReduceOp::kMin:
                return reduce_as<T, Min>(incoming, local, out, count);
            case ReduceOp::kMax:
                return reduce_as<T, Max>(incoming, local, out, count);
        }
    });
}

void divide(DataType type, void* data, std::size_t count, std::uint32_t n) {
    with_type(type, [&](auto zero) { divide_as<decltype(zero)>(data, count, n); });
}

}  // namespace weft::live
