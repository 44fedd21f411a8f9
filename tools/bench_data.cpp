#include "tools/bench_data.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "collectives/runtime/kernels.hpp"
#include "collectives/runtime/small_floats.hpp"

namespace weft::tools {

namespace {

using live::DataType;
using live::ReduceOp;

/// What keeps every partial result of up to 64 ranks exact, whatever the order.
enum class Values {
    kSmall,    // 0..3
    kSparse,   // fp8, whose integers are exact up to 8: one rank of four has +-1, else 0
    kFactors,  // products: one rank of eight has +-2, else +-1
};

Values values_of(DataType type, ReduceOp op) {
    if (op == ReduceOp::kProd) return Values::kFactors;
    return type == DataType::kFp8E4m3 || type == DataType::kFp8E5m2 ? Values::kSparse
                                                                    : Values::kSmall;
}

int value_of(Values values, std::uint32_t rank, std::uint64_t i) {
    const std::uint64_t mine = mix64(i ^ (std::uint64_t{rank} << 48));
    const std::uint64_t turn = mix64(i) % 64 + rank;  // the same element at another rank: the next
    switch (values) {
        case Values::kSmall:
            return static_cast<int>(mine >> 62);
        case Values::kSparse:
            return turn % 4 != 0 ? 0 : turn / 4 % 2 == 0 ? 1 : -1;
        case Values::kFactors:
            return (turn % 8 == 0 ? 2 : 1) * ((mine >> 63) == 0 ? 1 : -1);
    }
    return 0;
}

template <class T>
void fill_as(void* to, Values values, std::uint32_t rank, std::uint64_t first,
             std::uint64_t count) {
    T* p = static_cast<T*>(to);
    for (std::uint64_t i = 0; i < count; ++i) {
        const int v = value_of(values, rank, first + i);
        if constexpr (std::is_same_v<T, live::Bf16>)
            p[i] = live::narrow_bf16(static_cast<float>(v));
        else if constexpr (std::is_same_v<T, live::F16>)
            p[i] = live::narrow_f16(static_cast<float>(v));
        else if constexpr (std::is_same_v<T, live::Fp8E4m3>)
            p[i] = live::narrow_e4m3(static_cast<float>(v));
        else if constexpr (std::is_same_v<T, live::Fp8E5m2>)
            p[i] = live::narrow_e5m2(static_cast<float>(v));
        else
            p[i] = static_cast<T>(v);
    }
}

void fill(const BenchCase& c, void* to, std::uint32_t rank, std::uint64_t first,
          std::uint64_t count) {
    const Values values = values_of(c.dtype, c.op);
    switch (c.dtype) {
        case DataType::kF32:
            return fill_as<float>(to, values, rank, first, count);
        case DataType::kF64:
            return fill_as<double>(to, values, rank, first, count);
        case DataType::kBf16:
            return fill_as<live::Bf16>(to, values, rank, first, count);
        case DataType::kF16:
            return fill_as<live::F16>(to, values, rank, first, count);
        case DataType::kFp8E4m3:
            return fill_as<live::Fp8E4m3>(to, values, rank, first, count);
        case DataType::kFp8E5m2:
            return fill_as<live::Fp8E5m2>(to, values, rank, first, count);
        case DataType::kI8:
            return fill_as<std::int8_t>(to, values, rank, first, count);
        case DataType::kU8:
            return fill_as<std::uint8_t>(to, values, rank, first, count);
        case DataType::kI32:
            return fill_as<std::int32_t>(to, values, rank, first, count);
        case DataType::kU32:
            return fill_as<std::uint32_t>(to, values, rank, first, count);
        case DataType::kI64:
            return fill_as<std::int64_t>(to, values, rank, first, count);
        case DataType::kU64:
            return fill_as<std::uint64_t>(to, values, rank, first, count);
    }
    WEFT_CHECK(false, "data type {}", static_cast<int>(c.dtype));
}

/// Elements [first, first + count) of the reduction over all ranks.
void fill_reduced(const BenchCase& c, void* to, void* one, std::uint64_t first,
                  std::uint64_t count) {
    fill(c, to, 0, first, count);
    for (std::uint32_t r = 1; r < c.plan->n; ++r) {
        fill(c, one, r, first, count);
        live::reduce(c.dtype, c.op, one, to, to, count);
    }
    if (c.op == live::ReduceOp::kAvg) live::divide(c.dtype, to, count, c.plan->n);
}

/// Elements [first, first + count) of one block of the output of `rank`; blocks are of c.count.
void fill_expected(const BenchCase& c, std::uint32_t rank, std::uint64_t block, std::uint64_t first,
                   std::uint64_t count, void* to, void* work) {
    const auto source = static_cast<std::uint32_t>(block);
    const std::uint64_t mine = rank * c.count + first;
    switch (c.plan->collective) {
        case Collective::kAllReduce:
        case Collective::kReduce:
            return fill_reduced(c, to, work, first, count);
        case Collective::kReduceScatter:
            return fill_reduced(c, to, work, mine, count);
        case Collective::kAllGather:
        case Collective::kGather:
            return fill(c, to, source, first, count);
        case Collective::kAllToAll:
            return fill(c, to, source, mine, count);
        case Collective::kScatter:
            return fill(c, to, c.plan->root, mine, count);
        case Collective::kBroadcast:
        case Collective::kSendRecv:
            return fill(c, to, c.plan->root, first, count);
    }
}

}  // namespace

std::size_t own_offset(const BenchCase& c, Buffer buffer, std::uint32_t rank) {
    const PlanTemplate& p = *c.plan;
    for (const Buffer which : {Buffer::kInput, Buffer::kOutput})
        if (!provides(p.collective, which, rank, p.root, p.n)) return 0;
    return own_block(p.collective, buffer) ? rank * c.count * live::size_of(c.dtype) : 0;
}

std::uint64_t elements_of(const BenchCase& c, Buffer buffer, std::uint32_t rank) {
    const auto size = static_cast<std::uint32_t>(live::size_of(c.dtype));
    return buffer_elements(*c.plan, {.count = c.count, .element_size = size}, buffer, rank);
}

void fill_input(const BenchCase& c, std::uint32_t rank, void* input) {
    fill(c, input, rank, 0, elements_of(c, Buffer::kInput, rank));
}

std::uint64_t count_wrong(const BenchCase& c, std::uint32_t rank, const void* output) {
    constexpr std::uint64_t kPiece = 4096;
    const std::size_t size = live::size_of(c.dtype);
    std::vector<std::byte> expected(kPiece * size);
    std::vector<std::byte> work(kPiece * size);
    const std::uint64_t blocks = c.count == 0 ? 0 : elements_of(c, Buffer::kOutput, rank) / c.count;
    std::uint64_t wrong = 0;
    for (std::uint64_t b = 0; b < blocks; ++b)
        for (std::uint64_t at = 0; at < c.count; at += kPiece) {
            const std::uint64_t piece = std::min(kPiece, c.count - at);
            fill_expected(c, rank, b, at, piece, expected.data(), work.data());
            const auto* got = static_cast<const std::byte*>(output) + (b * c.count + at) * size;
            for (std::uint64_t i = 0; i < piece; ++i)
                wrong += std::memcmp(got + i * size, expected.data() + i * size, size) != 0;
        }
    return wrong;
}

}  // namespace weft::tools
