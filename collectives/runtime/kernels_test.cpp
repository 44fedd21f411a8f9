#include "collectives/runtime/kernels.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "collectives/runtime/small_floats.hpp"

namespace weft::live {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T>
std::vector<T> reduced(DataType type, ReduceOp op, std::vector<T> a, std::vector<T> b) {
    std::vector<T> out(a.size());
    reduce(type, op, a.data(), b.data(), out.data(), a.size());
    std::vector<T> in_place = b;
    reduce(type, op, a.data(), in_place.data(), in_place.data(), a.size());
    CHECK(std::memcmp(out.data(), in_place.data(), out.size() * sizeof(T)) == 0);
    return out;
}

TEST_CASE("sum, min and max of every integer type, with wrap-around", "[unit]") {
    using V8 = std::vector<std::int8_t>;
    CHECK(reduced<std::int8_t>(DataType::kI8, ReduceOp::kSum, {127, -5}, {1, 2}) == V8{-128, -3});
    CHECK(reduced<std::int8_t>(DataType::kI8, ReduceOp::kMin, {127, -5}, {1, 2}) == V8{1, -5});
    CHECK(reduced<std::uint8_t>(DataType::kU8, ReduceOp::kSum, {255}, {2})[0] == 1);
    CHECK(reduced<std::uint8_t>(DataType::kU8, ReduceOp::kMax, {255}, {2})[0] == 255);
    const std::int32_t big = std::numeric_limits<std::int32_t>::max();
    CHECK(reduced<std::int32_t>(DataType::kI32, ReduceOp::kSum, {big}, {1})[0] == -big - 1);
    CHECK(reduced<std::int64_t>(DataType::kI64, ReduceOp::kMin, {-7}, {3})[0] == -7);
    CHECK(reduced<std::uint64_t>(DataType::kU64, ReduceOp::kMax, {~0ULL}, {3})[0] == ~0ULL);
}

TEST_CASE("operands are taken in the order incoming, local", "[unit]") {
    // Of two zeros that compare equal, max keeps the second operand: the local one.
    const auto z = reduced<float>(DataType::kF32, ReduceOp::kMax, {0.0F}, {-0.0F});
    CHECK(std::signbit(z[0]));
    CHECK(reduced<double>(DataType::kF64, ReduceOp::kSum, {1.5}, {2.25})[0] == 3.75);
}

TEST_CASE("min and max propagate NaN from either side", "[unit]") {
    for (const ReduceOp op : {ReduceOp::kMin, ReduceOp::kMax}) {
        const auto f = reduced<float>(DataType::kF32, op, {kNan, 1, 2}, {1, kNan, 3});
        CHECK(std::isnan(f[0]));
        CHECK(std::isnan(f[1]));
        CHECK_FALSE(std::isnan(f[2]));
        const auto h =
            reduced<std::uint16_t>(DataType::kBf16, op, {0x7fc0, 0x3f80}, {0x3f80, 0x7fc0});
        CHECK(std::isnan(widen(Bf16{h[0]})));
        CHECK(std::isnan(widen(Bf16{h[1]})));
    }
}

TEST_CASE("bfloat16 rounds each sum to nearest even", "[unit]") {
    // 256 + 1: the neighbours are 256 and 258, the tie goes to the even mantissa 256.
    const Bf16 big = narrow_bf16(256.0F);
    const auto even = reduced<std::uint16_t>(DataType::kBf16, ReduceOp::kSum, {big.bits},
                                             {narrow_bf16(1.0F).bits});
    CHECK(widen(Bf16{even[0]}) == 256.0F);
    const auto up = reduced<std::uint16_t>(DataType::kBf16, ReduceOp::kSum,
                                           {narrow_bf16(258.0F).bits}, {narrow_bf16(1.0F).bits});
    CHECK(widen(Bf16{up[0]}) == 260.0F);
    CHECK(std::isinf(widen(narrow_bf16(std::numeric_limits<float>::max()))));
    CHECK(std::isnan(widen(narrow_bf16(kNan))));
}

TEST_CASE("every bfloat16 survives widening and narrowing", "[unit]") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const Bf16 x{static_cast<std::uint16_t>(bits)};
        const bool nan = std::isnan(widen(x));
        const std::uint16_t expected = nan ? static_cast<std::uint16_t>(bits | 0x40) : x.bits;
        if (narrow_bf16(widen(x)).bits != expected) FAIL("bfloat16 " << bits);
    }
}

// The definition: value = significand x 2^(exponent - 24), by arithmetic in double.
double value_of_half(std::uint32_t bits) {
    const int exponent = static_cast<int>((bits >> 10) & 31);
    const double significand = static_cast<double>(bits & 1023) + (exponent > 0 ? 1024 : 0);
    const double magnitude = significand * std::pow(2.0, (exponent > 0 ? exponent : 1) - 25);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST_CASE("every half widens to its value and narrows back", "[unit]") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const F16 x{static_cast<std::uint16_t>(bits)};
        if ((bits & 0x7c00) == 0x7c00) {
            const bool nan = (bits & 0x3ff) != 0;
            CHECK(std::isnan(widen(x)) == nan);
            CHECK(std::isinf(widen(x)) == !nan);
            if (!nan) CHECK(narrow_f16(widen(x)).bits == bits);
            continue;
        }
        if (static_cast<double>(widen(x)) != value_of_half(bits)) FAIL("half " << bits);
        if (narrow_f16(widen(x)).bits != bits) FAIL("half back " << bits);
    }
}

TEST_CASE("narrowing to half picks the nearest, ties to even", "[unit]") {
    for (std::uint32_t bits = 0; bits + 1 < 0x7c00; ++bits) {
        const double low = value_of_half(bits);
        const double high = value_of_half(bits + 1);
        const auto middle = static_cast<float>((low + high) / 2);
        const std::uint32_t even = bits + (bits & 1);
        if (narrow_f16(middle).bits != even) FAIL("tie above " << bits);
        if (narrow_f16(std::nextafterf(middle, 0.0F)).bits != bits) FAIL("below tie " << bits);
        if (narrow_f16(std::nextafterf(middle, 1e9F)).bits != bits + 1) FAIL("above tie " << bits);
    }
    CHECK(narrow_f16(65519.0F).bits == 0x7bff);
    CHECK(narrow_f16(65520.0F).bits == 0x7c00);
    CHECK(narrow_f16(1e-9F).bits == 0);
}

TEST_CASE("division truncates integers toward zero and rounds floats once", "[unit]") {
    std::vector<std::int32_t> i{-7, 7, 1};
    divide(DataType::kI32, i.data(), i.size(), 3);
    CHECK(i == std::vector<std::int32_t>{-2, 2, 0});
    std::vector<std::int8_t> narrow{127, -128};
    divide(DataType::kI8, narrow.data(), narrow.size(), 300);
    CHECK(narrow == std::vector<std::int8_t>{0, 0});
    std::vector<float> f{1.0F};
    divide(DataType::kF32, f.data(), 1, 3);
    CHECK(f[0] == 1.0F / 3.0F);
    std::vector<std::uint16_t> h{narrow_bf16(1.0F).bits};
    divide(DataType::kBf16, h.data(), 1, 3);
    CHECK(h[0] == narrow_bf16(1.0F / 3.0F).bits);
}

TEST_CASE("any length, aligned or not, equals element by element", "[unit]") {
    RandomStream random(1, 0, "kernels");
    for (const std::size_t n : {0UL, 1UL, 7UL, 63UL, 64UL, 1001UL}) {
        std::vector<float> a(n + 1);
        std::vector<float> b(n + 1);
        for (std::size_t i = 0; i <= n; ++i) {
            a[i] = static_cast<float>(random.uniform());
            b[i] = static_cast<float>(random.uniform());
        }
        std::vector<float> out(n + 1);
        reduce(DataType::kF32, ReduceOp::kSum, a.data() + 1, b.data() + 1, out.data(), n);
        for (std::size_t i = 0; i < n; ++i) CHECK(out[i] == a[i + 1] + b[i + 1]);
    }
}

TEST_CASE("names are nccl-tests' names, and others are explained", "[unit]") {
    for (const DataType t : kDataTypes) CHECK(parse_data_type(name_of(t)) == t);
    for (const ReduceOp op : kReduceOps) CHECK(parse_reduce_op(name_of(op)) == op);
    CHECK_THROWS_AS(parse_data_type("floaty"), ConfigError);
    CHECK_THROWS_AS(parse_reduce_op(""), ConfigError);
}

}  // namespace
}  // namespace weft::live
