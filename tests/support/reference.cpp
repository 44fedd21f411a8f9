#include "tests/support/reference.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "base/rng.hpp"

namespace weft::test {

namespace {

using live::DataType;
using live::ReduceOp;

template <class T>
T from_bits(Element bits) {
    T x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
template <class T>
Element to_bits(T x) {
    Element bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    return bits;
}

/// A small float by its parts: value = (-1)^s * 1.m * 2^(e - bias), or 0.m * 2^(1 - bias).
struct Format {
    int exponent_bits = 0;
    int mantissa_bits = 0;
    int bias = 0;
    std::uint32_t largest = 0;  // magnitude of the largest finite number
    bool saturates = false;     // what is too large becomes `largest`, not infinity
};

Format format_of(DataType type) {
    switch (type) {
        case DataType::kBf16:
            return {8, 7, 127, 0x7f7f, false};
        case DataType::kF16:
            return {5, 10, 15, 0x7bff, false};
        case DataType::kFp8E4m3:
            return {4, 3, 7, 0x7e, true};
        case DataType::kFp8E5m2:
            return {5, 2, 15, 0x7b, true};
        default:
            throw std::logic_error("no small float");
    }
}

double magnitude_of(const Format& f, std::uint32_t bits) {
    const auto exponent = static_cast<int>(bits >> f.mantissa_bits);
    const auto mantissa = static_cast<double>(bits & ((1U << f.mantissa_bits) - 1));
    const double unit = std::ldexp(1.0, -f.mantissa_bits);
    if (exponent == 0) return std::ldexp(mantissa * unit, 1 - f.bias);
    return std::ldexp(1 + mantissa * unit, exponent - f.bias);
}

double value_of(const Format& f, Element bits) {
    const int sign_bit = f.exponent_bits + f.mantissa_bits;
    const auto magnitude = static_cast<std::uint32_t>(bits & ((1U << sign_bit) - 1));
    const double x = magnitude > f.largest ? HUGE_VAL : magnitude_of(f, magnitude);
    return (bits >> sign_bit) != 0 ? -x : x;
}

/// The nearest number of the format, ties to even, by search among all of them. x is no NaN: the
/// data have none, and infinities come from products alone.
Element nearest(const Format& f, double x) {
    if (std::isnan(x)) throw std::logic_error("a NaN among the test's data");
    const Element sign = Element{std::signbit(x)} << (f.exponent_bits + f.mantissa_bits);
    const double want = std::fabs(x);
    std::uint32_t low = 0;
    std::uint32_t high = f.largest;
    if (want >= magnitude_of(f, high)) {
        const double step = magnitude_of(f, high) - magnitude_of(f, high - 1);
        const bool over = want >= magnitude_of(f, high) + step / 2;
        return sign | (over && !f.saturates ? f.largest + 1 : f.largest);
    }
    while (high - low > 1) {
        const std::uint32_t middle = (low + high) / 2;
        (magnitude_of(f, middle) <= want ? low : high) = middle;
    }
    const double below = want - magnitude_of(f, low);
    const double above = magnitude_of(f, high) - want;
    if (below == above) return sign | (low % 2 == 0 ? low : high);
    return sign | (below < above ? low : high);
}

bool is_small(DataType type) {
    return type == DataType::kBf16 || type == DataType::kF16 || type == DataType::kFp8E4m3 ||
           type == DataType::kFp8E5m2;
}

/// Calls f with a zero of the C++ type.
template <class F>
auto with_type(DataType type, F f) {
    switch (type) {
        case DataType::kF32:
            return f(float{});
        case DataType::kF64:
            return f(double{});
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
        default:
            throw std::logic_error("a small float is no C++ type");
    }
}

template <class T>
Element combine_as(ReduceOp op, Element a, Element b) {
    const T x = from_bits<T>(a);
    const T y = from_bits<T>(b);
    if (op == ReduceOp::kMin) return to_bits<T>(y < x ? y : x);
    if (op == ReduceOp::kMax) return to_bits<T>(x < y ? y : x);
    if constexpr (std::is_integral_v<T>)  // modulo 2^64 covers all widths
        return to_bits<T>(from_bits<T>(op == ReduceOp::kProd ? a * b : a + b));
    else
        return to_bits<T>(op == ReduceOp::kProd ? x * y : x + y);
}

Element combine_small(const Format& f, ReduceOp op, Element a, Element b) {
    const double x = value_of(f, a);
    const double y = value_of(f, b);
    if (op == ReduceOp::kMin) return y < x ? b : a;
    if (op == ReduceOp::kMax) return x < y ? b : a;
    // One operation in float, as defined; then to the format.
    const auto wide = op == ReduceOp::kProd ? static_cast<float>(x) * static_cast<float>(y)
                                            : static_cast<float>(x) + static_cast<float>(y);
    return nearest(f, static_cast<double>(wide));
}

}  // namespace

Element combine(DataType type, ReduceOp op, Element a, Element b) {
    if (is_small(type)) return combine_small(format_of(type), op, a, b);
    return with_type(type, [&](auto zero) { return combine_as<decltype(zero)>(op, a, b); });
}

Element divided(DataType type, Element a, std::uint32_t n) {
    if (is_small(type)) {
        const Format f = format_of(type);
        const auto wide = static_cast<float>(value_of(f, a)) / static_cast<float>(n);
        return nearest(f, static_cast<double>(wide));
    }
    return with_type(type, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_integral_v<T>)
            return to_bits<T>(static_cast<T>(
                std::is_signed_v<T>
                    ? static_cast<std::int64_t>(from_bits<T>(a)) / std::int64_t{n}
                    : static_cast<std::int64_t>(static_cast<std::uint64_t>(from_bits<T>(a)) / n)));
        else
            return to_bits<T>(from_bits<T>(a) / static_cast<T>(n));
    });
}

Element multiplied(DataType type, Element factor, Element a) {
    return combine(type, ReduceOp::kProd, factor, a);
}

Element random_element(DataType type, std::uint32_t rank, std::uint64_t i) {
    const std::uint64_t draw = mix64(mix64(77, rank), i);
    const double x = (static_cast<double>(draw >> 11) * 0x1.0p-53 - 0.3) * 100.0;
    if (type == DataType::kFp8E4m3 || type == DataType::kFp8E5m2)
        return nearest(format_of(type), x / 16);  // sums stay finite for some ranks
    if (is_small(type)) return nearest(format_of(type), x);
    if (type == DataType::kF32) return to_bits(static_cast<float>(x));
    if (type == DataType::kF64) return to_bits(x);
    const std::size_t bits = 8 * size_of(type);
    return bits == 64 ? draw : draw & ((std::uint64_t{1} << bits) - 1);
}

RankMemory::RankMemory(const PlanTemplate& plan, const Binding& b, std::uint32_t rank)
    : size_(b.element_size),
      in_(buffer_elements(plan, b, Buffer::kInput, rank) * size_),
      out_(buffer_elements(plan, b, Buffer::kOutput, rank) * size_) {
    const std::size_t block = b.count * rank * size_;
    const Collective c = plan.collective;
    if (b.in_place && c == Collective::kAllGather) in_at_ = block;
    if (b.in_place && c == Collective::kReduceScatter) out_at_ = block;
    if (b.in_place && c == Collective::kGather && rank == plan.root) in_at_ = block;
    if (b.in_place && c == Collective::kScatter && rank == plan.root) out_at_ = block;
    if (!b.in_place) out_at_ = in_ + 64;
    memory_.resize(std::max(in_at_ + in_, out_at_ + out_) + 64, std::byte{0xa5});
}

void RankMemory::fill(const std::vector<Element>& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        std::memcpy(memory_.data() + in_at_ + i * size_, &values[i], size_);
}

live::UserBuffers RankMemory::buffers() {
    return {memory_.data() + in_at_, memory_.data() + out_at_};
}

std::vector<Element> RankMemory::output() const {
    std::vector<Element> values(out_ / size_);
    for (std::size_t i = 0; i < values.size(); ++i)
        std::memcpy(&values[i], memory_.data() + out_at_ + i * size_, size_);
    for (std::size_t i = memory_.size() - 64; i < memory_.size(); ++i)
        if (memory_[i] != std::byte{0xa5}) throw std::runtime_error("wrote past the output");
    return values;
}

bool reduces(const PlanTemplate& p) {
    return weft::reduces(p.collective);
}

std::vector<std::vector<Element>> inputs_of(const PlanTemplate& plan, const ReferenceJob& job) {
    const Binding b{job.count, static_cast<std::uint32_t>(size_of(job.dtype)), job.in_place};
    std::vector<std::vector<Element>> in(plan.n);
    for (std::uint32_t r = 0; r < plan.n; ++r) {
        in[r].resize(buffer_elements(plan, b, Buffer::kInput, r));
        for (std::uint64_t i = 0; i < in[r].size(); ++i)
            in[r][i] = random_element(job.dtype, r, i + job.salt);
    }
    return in;
}

namespace {

std::vector<std::vector<Element>> scaled_inputs(const PlanTemplate& plan, const ReferenceJob& job) {
    std::vector<std::vector<Element>> in = inputs_of(plan, job);
    if (job.op == ReduceOp::kPreMulSum)
        for (auto& rank : in)
            for (Element& x : rank) x = multiplied(job.dtype, job.factor, x);
    return in;
}

}  // namespace

std::vector<std::vector<Element>> expected(const PlanTemplate& plan, const ReferenceJob& job) {
    const Binding b{job.count, static_cast<std::uint32_t>(size_of(job.dtype)), job.in_place};
    SequentialRun run;
    run.combine = [&](Element x, Element y) { return combine(job.dtype, job.op, x, y); };
    if (reduces(plan) && job.op == ReduceOp::kAvg)
        run.finish = [&](Element x) { return divided(job.dtype, x, plan.n); };
    return run(plan, b, scaled_inputs(plan, job));
}

std::vector<std::vector<Element>> expected_by_rank(const PlanTemplate& plan,
                                                   const ReferenceJob& job) {
    if (!reduces(plan)) return expected(plan, job);
    const auto in = scaled_inputs(plan, job);
    std::vector<Element> sum = in[0];
    for (std::uint32_t r = 1; r < plan.n; ++r)
        for (std::size_t i = 0; i < sum.size(); ++i)
            sum[i] = combine(job.dtype, job.op, in[r][i], sum[i]);
    if (job.op == ReduceOp::kAvg)
        for (Element& x : sum) x = divided(job.dtype, x, plan.n);
    if (plan.collective == Collective::kAllReduce)
        return std::vector<std::vector<Element>>(plan.n, sum);
    std::vector<std::vector<Element>> out(plan.collective == Collective::kReduce ? plan.n : 0);
    if (plan.collective == Collective::kReduce) {
        out[plan.root] = std::move(sum);
        return out;
    }
    for (std::uint32_t r = 0; r < plan.n; ++r) {
        const auto begin = sum.begin() + static_cast<std::ptrdiff_t>(r * job.count);
        out.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(job.count));
    }
    return out;
}

}  // namespace weft::test
