#include "collectives/runtime/kernels.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "collectives/runtime/small_floats.hpp"

namespace weft::live {
namespace {

// ---- The reference: one element at a time, from the definition of each format ----

using Bits = std::uint64_t;  // an element, its bytes in the lower end

constexpr std::array kReductions{ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMin, ReduceOp::kMax};

template <class T>
T from_bits(Bits bits) {
    T x;
    std::memcpy(static_cast<void*>(&x), &bits, sizeof(T));
    return x;
}
template <class T>
Bits to_bits(T x) {
    Bits bits = 0;
    std::memcpy(&bits, &x, sizeof(T));
    return bits;
}

/// A floating-point format as the list of its values: no bit trick of the kernels is used.
struct Format {
    Format(int exponent, int mantissa, Bits finite, bool infinity, Bits quiet_nan)
        : width(1 + exponent + mantissa), nan(quiet_nan), has_infinity(infinity) {
        const int bias = (1 << (exponent - 1)) - 1;
        for (Bits b = 0; b <= finite; ++b) {  // one past the largest: where rounding overflows
            const auto e = static_cast<int>(b >> mantissa);
            const auto m = static_cast<double>(b & ((1U << mantissa) - 1));
            const double significand = m + (e > 0 ? std::ldexp(1.0, mantissa) : 0.0);
            values.push_back(std::ldexp(significand, std::max(e, 1) - bias - mantissa));
        }
    }
    [[nodiscard]] Bits sign() const { return Bits{1} << (width - 1); }
    [[nodiscard]] double widened(Bits bits) const {
        const Bits magnitude = bits & (sign() - 1);
        double x = std::numeric_limits<double>::quiet_NaN();
        if (magnitude + 1 < values.size()) x = values[magnitude];
        if (has_infinity && magnitude + 1 == values.size()) x = HUGE_VAL;
        return (bits & sign()) != 0 ? -x : x;
    }
    /// Nearest, ties to the even pattern; too large: infinity, or the largest.
    [[nodiscard]] Bits narrowed(double x, bool saturate) const {
        if (std::isnan(x)) return nan;
        const double size = std::fabs(x);
        const auto above = std::lower_bound(values.begin(), values.end(), size);
        Bits b = static_cast<Bits>(above - values.begin());
        if (above == values.end()) {
            b = values.size() - 1;
        } else if (b > 0 && values[b] != size) {
            const double up = values[b] - size;
            const double down = size - values[b - 1];
            if (down < up || (down == up && b % 2 == 1)) --b;
        }
        if (saturate) b = std::min<Bits>(b, values.size() - 2);
        return std::signbit(x) ? b | sign() : b;
    }
    int width;
    Bits nan;
    bool has_infinity;
    std::vector<double> values;
};

const Format& format_of(DataType type) {
    static const Format bf16(8, 7, 0x7f80, true, 0x7fc0);
    static const Format f16(5, 10, 0x7c00, true, 0x7e00);
    static const Format e4m3(4, 3, 0x7f, false, 0x7f);
    static const Format e5m2(5, 2, 0x7c, true, 0x7f);
    if (type == DataType::kBf16) return bf16;
    if (type == DataType::kF16) return f16;
    return type == DataType::kFp8E4m3 ? e4m3 : e5m2;
}

bool is_small_float(DataType type) {
    return type == DataType::kBf16 || type == DataType::kF16 || type == DataType::kFp8E4m3 ||
           type == DataType::kFp8E5m2;
}

template <class T>
T one_nan(T x) {
    return std::isnan(x) ? std::numeric_limits<T>::quiet_NaN() : x;
}

template <class T>
T float_result(ReduceOp op, T a, T b) {
    T r = op == ReduceOp::kProd ? a * b : a + b;
    if (op == ReduceOp::kMin) r = a < b ? a : b;
    if (op == ReduceOp::kMax) r = a > b ? a : b;
    return one_nan(std::isnan(a) ? a : std::isnan(b) ? b : r);
}

template <class T>
Bits integer_result(ReduceOp op, Bits a, Bits b) {
    const auto x = static_cast<__int128>(from_bits<T>(a));
    const auto y = static_cast<__int128>(from_bits<T>(b));
    if (op == ReduceOp::kMin) return to_bits(static_cast<T>(std::min(x, y)));
    if (op == ReduceOp::kMax) return to_bits(static_cast<T>(std::max(x, y)));
    if (op == ReduceOp::kSum) return to_bits(static_cast<T>(x + y));
    const auto wide = static_cast<unsigned __int128>(x) * static_cast<unsigned __int128>(y);
    return to_bits(static_cast<T>(wide));
}

Bits small_float_result(DataType type, ReduceOp op, Bits a, Bits b) {
    const Format& f = format_of(type);
    const float r =
        float_result(op, static_cast<float>(f.widened(a)), static_cast<float>(f.widened(b)));
    return f.narrowed(static_cast<double>(r), size_of(type) == 1);
}

Bits result(DataType type, ReduceOp op, Bits a, Bits b) {
    switch (type) {
        case DataType::kF32:
            return to_bits(float_result(op, from_bits<float>(a), from_bits<float>(b)));
        case DataType::kF64:
            return to_bits(float_result(op, from_bits<double>(a), from_bits<double>(b)));
        case DataType::kI8:
            return integer_result<std::int8_t>(op, a, b);
        case DataType::kU8:
            return integer_result<std::uint8_t>(op, a, b);
        case DataType::kI32:
            return integer_result<std::int32_t>(op, a, b);
        case DataType::kU32:
            return integer_result<std::uint32_t>(op, a, b);
        case DataType::kI64:
            return integer_result<std::int64_t>(op, a, b);
        case DataType::kU64:
            return integer_result<std::uint64_t>(op, a, b);
        default:
            return small_float_result(type, op, a, b);
    }
}

template <class T>
Bits quotient_as(Bits a, std::uint32_t n) {
    if constexpr (std::is_integral_v<T>)
        return to_bits(static_cast<T>(static_cast<__int128>(from_bits<T>(a)) / n));
    else
        return to_bits(one_nan(from_bits<T>(a) / static_cast<T>(n)));
}

Bits quotient(DataType type, Bits a, std::uint32_t n) {
    switch (type) {
        case DataType::kF32:
            return quotient_as<float>(a, n);
        case DataType::kF64:
            return quotient_as<double>(a, n);
        case DataType::kI8:
            return quotient_as<std::int8_t>(a, n);
        case DataType::kU8:
            return quotient_as<std::uint8_t>(a, n);
        case DataType::kI32:
            return quotient_as<std::int32_t>(a, n);
        case DataType::kU32:
            return quotient_as<std::uint32_t>(a, n);
        case DataType::kI64:
            return quotient_as<std::int64_t>(a, n);
        case DataType::kU64:
            return quotient_as<std::uint64_t>(a, n);
        default: {
            const Format& f = format_of(type);
            const float r = static_cast<float>(f.widened(a)) / static_cast<float>(n);
            return f.narrowed(static_cast<double>(r), size_of(type) == 1);
        }
    }
}

// ---- Elements, and comparing them ----

/// Any pattern, with every eighth a special one: zeros, subnormals, extremes, infinities, NaN.
std::vector<Bits> elements(DataType type, std::size_t n, std::uint64_t seed) {
    const auto width = static_cast<int>(8 * size_of(type));
    const Bits mask = width == 64 ? ~Bits{0} : (Bits{1} << width) - 1;
    const Bits sign = Bits{1} << (width - 1);
    std::vector<Bits> special{0, 1, 2, sign - 1, sign / 2, sign / 4 * 3};
    if (is_small_float(type)) {
        const Bits past = format_of(type).values.size() - 1;
        special.insert(special.end(), {past - 2, past - 1, past, past + 1});
    }
    if (type == DataType::kF32)
        special.insert(special.end(), {0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc12345, 0x7fffff});
    if (type == DataType::kF64)
        special.insert(special.end(), {0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff8000000000001});
    RandomStream random(seed, 0, name_of(type));
    std::vector<Bits> all(n);
    for (Bits& x : all) {
        x = random.next();
        if (random.below(8) == 0) x = special[random.below(special.size())] | (x & sign);
        x &= mask;
    }
    return all;
}

std::vector<std::byte> packed(DataType type, const std::vector<Bits>& from) {
    std::vector<std::byte> to(from.size() * size_of(type));
    for (std::size_t i = 0; i < from.size(); ++i)
        std::memcpy(to.data() + i * size_of(type), &from[i], size_of(type));
    return to;
}

std::string hex(Bits x) {
    return fmt::format("{:x}", x);
}

/// FAILs with the first element of `got` that differs.
void check_elements(const std::string& what, DataType type, const std::byte* got,
                    const std::vector<std::byte>& expected, std::size_t count) {
    const std::size_t size = size_of(type);
    if (count == 0 || std::memcmp(got, expected.data(), count * size) == 0) return;
    for (std::size_t i = 0; i < count; ++i) {
        Bits g = 0;
        Bits e = 0;
        std::memcpy(&g, got + i * size, size);
        std::memcpy(&e, expected.data() + i * size, size);
        if (g != e)
            FAIL(what << ' ' << name_of(type) << ": element " << i << " of " << count << " is "
                      << hex(g) << ", not " << hex(e));
    }
}

/// Three arrays, and what the reduction of the first two must be.
struct Example {
    Example(DataType t, ReduceOp o, const std::vector<Bits>& x, const std::vector<Bits>& y)
        : type(t), op(o), count(x.size()), a(packed(t, x)), b(packed(t, y)) {
        std::vector<Bits> z(count);
        for (std::size_t i = 0; i < count; ++i) z[i] = result(type, op, x[i], y[i]);
        out = packed(type, z);
    }
    void check(const KernelLevel& level) const {
        const std::string what = fmt::format("{} {}", level.name, name_of(op));
        std::vector<std::byte> got(out.size());
        level.reduce(type, op, a.data(), b.data(), got.data(), count, Write::kBySize);
        check_elements(what, type, got.data(), out, count);
        std::vector<std::byte> in_place = b;
        level.reduce(type, op, a.data(), in_place.data(), in_place.data(), count, Write::kBySize);
        check_elements(what + " in place", type, in_place.data(), out, count);
        in_place = a;
        level.reduce(type, op, in_place.data(), b.data(), in_place.data(), count, Write::kPast);
        check_elements(what + " in the other's place", type, in_place.data(), out, count);
    }
    DataType type;
    ReduceOp op;
    std::size_t count;
    std::vector<std::byte> a, b, out;
};

// ---- The kernels ----

TEST_CASE("fp8: all pairs, all reductions, all levels", "[unit]") {
    const DataType type = GENERATE(DataType::kFp8E4m3, DataType::kFp8E5m2);
    const ReduceOp op = GENERATE(from_range(kReductions));
    std::vector<Bits> a(65536);
    std::vector<Bits> b(65536);
    for (std::size_t i = 0; i < a.size(); ++i) {
        a[i] = i / 256;
        b[i] = i % 256;
    }
    const Example example(type, op, a, b);
    for (const KernelLevel& level : kernel_levels()) example.check(level);
}

TEST_CASE("every type and reduction at every level is the reference's, bit by bit", "[unit]") {
    for (const DataType type : kDataTypes)
        for (const ReduceOp op : kReductions) {
            const Example example(type, op, elements(type, 3001, 1), elements(type, 3001, 2));
            for (const KernelLevel& level : kernel_levels()) example.check(level);
        }
}

TEST_CASE("half: every value beside its neighbours, zero, one and the extremes", "[unit]") {
    const ReduceOp op = GENERATE(from_range(kReductions));
    for (const Bits other : {0x3c00, 0x3c01, 0x0001, 0x83ff, 0x7bff, 0x1401}) {
        std::vector<Bits> a(65536);
        for (std::size_t i = 0; i < a.size(); ++i) a[i] = i;
        const Example example(DataType::kF16, op, a, std::vector<Bits>(a.size(), other));
        for (const KernelLevel& level : kernel_levels()) example.check(level);
    }
}

TEST_CASE("any count at any address, and not a byte beyond", "[unit]") {
    constexpr std::size_t kMost = 130;
    for (const DataType type : kDataTypes) {
        const std::size_t size = size_of(type);
        const Example e(type, ReduceOp::kSum, elements(type, kMost, 3), elements(type, kMost, 4));
        for (const KernelLevel& level : kernel_levels())
            for (std::size_t count = 0; count <= kMost; ++count) {
                const std::size_t shift = count % 67;  // of bytes, multiples of nothing
                std::vector<std::byte> a(shift + e.a.size());
                std::vector<std::byte> b(shift + 1 + e.b.size());
                std::vector<std::byte> out(shift + 3 + e.out.size() + 64, std::byte{0xa5});
                std::copy(e.a.begin(), e.a.end(), a.begin() + static_cast<std::ptrdiff_t>(shift));
                std::copy(e.b.begin(), e.b.end(),
                          b.begin() + static_cast<std::ptrdiff_t>(shift + 1));
                level.reduce(type, e.op, a.data() + shift, b.data() + shift + 1,
                             out.data() + shift + 3, count,
                             count % 2 == 0 ? Write::kBySize : Write::kPast);
                check_elements(level.name, type, out.data() + shift + 3, e.out, count);
                for (std::size_t i = 0; i < out.size(); ++i)
                    if ((i < shift + 3 || i >= shift + 3 + count * size) &&
                        out[i] != std::byte{0xa5})
                        FAIL(level.name << " wrote beside its output");
            }
    }
}

TEST_CASE("large outputs, streamed past the caches, have the same bits", "[unit]") {
    const std::size_t count = kStreamedBytes / 2 + 1001;
    std::vector<std::uint16_t> a(count);
    std::vector<std::uint16_t> b(count + 1);
    RandomStream random(5, 0, "streamed");
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t x = random.next();
        a[i] = static_cast<std::uint16_t>(x);
        b[i] = static_cast<std::uint16_t>(x >> 16);
    }
    std::vector<std::uint16_t> expected = b;
    kernel_levels().front().reduce(DataType::kBf16, ReduceOp::kSum, a.data(), expected.data(),
                                   expected.data(), count, Write::kBySize);
    for (const KernelLevel& level : kernel_levels())
        for (const std::size_t shift : {2, 5}) {  // at an element, and between two
            std::vector<std::byte> out(2 * count + 64, std::byte{0xa5});
            level.reduce(DataType::kBf16, ReduceOp::kSum, a.data(), b.data(), out.data() + shift,
                         count, Write::kBySize);
            CHECK(std::memcmp(out.data() + shift, expected.data(), 2 * count) == 0);
            CHECK(out[shift - 1] == std::byte{0xa5});
            CHECK(out[shift + 2 * count] == std::byte{0xa5});
        }
}

TEST_CASE("copies past the caches: any size at any address, and not a byte beyond", "[unit]") {
    std::vector<std::byte> in(5000);
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::byte>(i * 7 + i / 256);
    for (const KernelLevel& level : kernel_levels())
        for (std::size_t size = 0; size < 4800; size += 1 + size / 3) {
            const std::size_t shift = size % 71;
            std::vector<std::byte> out(in.size() + 64, std::byte{0xa5});
            level.copy_past(in.data() + size % 3, out.data() + 1 + shift, size);
            CHECK(std::memcmp(out.data() + 1 + shift, in.data() + size % 3, size) == 0);
            CHECK(out[shift] == std::byte{0xa5});
            CHECK(out[1 + shift + size] == std::byte{0xa5});
        }
}

TEST_CASE("a pre-multiplied sum rounds the product, then the sum", "[unit]") {
    for (const DataType type : kDataTypes) {
        const std::vector<Bits> x = elements(type, 515, 6);
        const std::vector<Bits> y = elements(type, 515, 7);
        for (const Bits factor : elements(type, 12, 8)) {
            std::vector<Bits> products(y.size());
            std::vector<Bits> sums(y.size());
            for (std::size_t i = 0; i < y.size(); ++i) {
                products[i] = result(type, ReduceOp::kProd, factor, y[i]);
                sums[i] = result(type, ReduceOp::kSum, x[i], products[i]);
            }
            const auto incoming = packed(type, x);
            const auto local = packed(type, y);
            for (const KernelLevel& level : kernel_levels()) {
                std::vector<std::byte> out(local.size());
                level.scale(type, &factor, local.data(), out.data(), y.size());
                check_elements("scale", type, out.data(), packed(type, products), y.size());
                level.reduce_scaled(type, &factor, incoming.data(), local.data(), out.data(),
                                    y.size());
                check_elements("reduce_scaled", type, out.data(), packed(type, sums), y.size());
                out = local;
                level.scale(type, &factor, out.data(), out.data(), y.size());
                check_elements("scale in place", type, out.data(), packed(type, products),
                               y.size());
            }
        }
    }
}

TEST_CASE("division truncates integers toward zero and rounds floats once", "[unit]") {
    for (const DataType type : kDataTypes) {
        std::vector<Bits> x = elements(type, 600, 9);
        for (Bits b = 0; size_of(type) == 1 && b < 256; ++b) x.push_back(b);
        for (const std::uint32_t n : {1U, 2U, 3U, 7U, 300U, 65537U}) {
            std::vector<Bits> expected(x.size());
            for (std::size_t i = 0; i < x.size(); ++i) expected[i] = quotient(type, x[i], n);
            for (const KernelLevel& level : kernel_levels()) {
                std::vector<std::byte> data = packed(type, x);
                level.divide(type, data.data(), x.size(), n);
                check_elements(level.name, type, data.data(), packed(type, expected), x.size());
            }
        }
    }
    std::vector<std::int8_t> narrow{127, -128};
    divide(DataType::kI8, narrow.data(), narrow.size(), 300);
    CHECK(narrow == std::vector<std::int8_t>{0, 0});
}

TEST_CASE("operands are taken in the order incoming, local", "[unit]") {
    // Of two zeros that compare equal, max keeps the second operand: the local one.
    const float plus = 0.0F;
    const float minus = -0.0F;
    float out = 1.0F;
    reduce(DataType::kF32, ReduceOp::kMax, &plus, &minus, &out, 1);
    CHECK(std::signbit(out));
    reduce(DataType::kF32, ReduceOp::kMax, &minus, &plus, &out, 1);
    CHECK_FALSE(std::signbit(out));
}

TEST_CASE("an average and a pre-multiplied sum reduce as a sum", "[unit]") {
    const std::int32_t a = 5;
    const std::int32_t b = -7;
    for (const ReduceOp op : {ReduceOp::kAvg, ReduceOp::kPreMulSum}) {
        std::int32_t out = 0;
        reduce(DataType::kI32, op, &a, &b, &out, 1);
        CHECK(out == -2);
    }
}

TEST_CASE("the level in use is the last of those available, each named once", "[unit]") {
    const auto levels = kernel_levels();
    CHECK(std::string(levels.front().name) == "baseline");
    CHECK(&kernel_level() == &levels.back());
    for (std::size_t i = 1; i < levels.size(); ++i)
        CHECK(std::string(levels[i].name) != levels[i - 1].name);
}

// ---- small_floats.hpp, one element at a time ----

template <class T>
Bits narrowed_by_us(float x) {
    if constexpr (std::is_same_v<T, Bf16>) return narrow_bf16(x).bits;
    if constexpr (std::is_same_v<T, F16>) return narrow_f16(x).bits;
    if constexpr (std::is_same_v<T, Fp8E4m3>) return narrow_e4m3(x).bits;
    if constexpr (std::is_same_v<T, Fp8E5m2>) return narrow_e5m2(x).bits;
}

TEMPLATE_TEST_CASE("every pattern widens to its value; narrowing picks the nearest", "[unit]", Bf16,
                   F16, Fp8E4m3, Fp8E5m2) {
    const DataType type = std::is_same_v<TestType, Bf16>      ? DataType::kBf16
                          : std::is_same_v<TestType, F16>     ? DataType::kF16
                          : std::is_same_v<TestType, Fp8E4m3> ? DataType::kFp8E4m3
                                                              : DataType::kFp8E5m2;
    const Format& f = format_of(type);
    const bool saturate = sizeof(TestType) == 1;
    const auto check = [&](float x) {
        const Bits expected = f.narrowed(static_cast<double>(x), saturate);
        if (narrowed_by_us<TestType>(x) != expected) FAIL(name_of(type) << ": narrowing " << x);
    };
    for (Bits bits = 0; bits < 2 * f.sign(); ++bits) {
        const auto value = static_cast<float>(f.widened(bits));
        const float ours = widen(from_bits<TestType>(bits));
        if (std::isnan(value) != std::isnan(ours) ||
            (!std::isnan(value) && to_bits(value) != to_bits(ours)))
            FAIL(name_of(type) << ": widening " << hex(bits));
        check(value);
        // The middle between two neighbours, and the floats right beside it.
        const Bits m = bits & (f.sign() - 1);
        if (m + 1 >= f.values.size()) continue;
        auto middle = static_cast<float>((f.values[m] + f.values[m + 1]) / 2);
        if (bits != m) middle = -middle;
        check(middle);
        check(std::nextafterf(middle, -HUGE_VALF));
        check(std::nextafterf(middle, HUGE_VALF));
    }
    for (const float x : {HUGE_VALF, -HUGE_VALF, std::numeric_limits<float>::max(), 1e-45F, -1e-45F,
                          std::numeric_limits<float>::quiet_NaN()})
        check(x);
}

TEST_CASE("fp8 saturates at 448 and 57344; its NaN survives", "[unit]") {
    CHECK(narrow_e4m3(464.1F).bits == 0x7e);
    CHECK(narrow_e4m3(-HUGE_VALF).bits == 0xfe);
    CHECK(narrow_e5m2(HUGE_VALF).bits == 0x7b);
    CHECK(widen(Fp8E4m3{0x7e}) == 448.0F);
    CHECK(widen(Fp8E5m2{0x7b}) == 57344.0F);
    CHECK(narrow_e4m3(widen(Fp8E4m3{0xff})).bits == 0x7f);
    CHECK(narrow_e5m2(widen(Fp8E5m2{0xfd})).bits == 0x7f);
}

TEST_CASE("names are nccl-tests' names, and others are explained", "[unit]") {
    for (const DataType t : kDataTypes) CHECK(parse_data_type(name_of(t)) == t);
    for (const ReduceOp op : kReduceOps) CHECK(parse_reduce_op(name_of(op)) == op);
    CHECK(std::string(name_of(DataType::kFp8E4m3)) == "f8e4m3");
    CHECK(std::string(name_of(ReduceOp::kPreMulSum)) == "mulsum");
    CHECK_THROWS_AS(parse_data_type("floaty"), ConfigError);
    CHECK_THROWS_AS(parse_reduce_op(""), ConfigError);
    CHECK_THROWS_AS(parse_reduce_op("mulsum"), ConfigError);  // it needs a factor
    CHECK(std::string(name_of(static_cast<DataType>(200))) == "?");
    CHECK(std::string(name_of(static_cast<ReduceOp>(200))) == "?");
}

}  // namespace
}  // namespace weft::live
