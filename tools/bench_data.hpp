#pragma once
// What `weft bench` moves, and what must come out. Elements are small integers, so few and so small
// that what up to 64 ranks make of them is exact in every type, fp8 included, whatever the order.
#include <cstddef>
#include <cstdint>

#include "collectives/plan/plan.hpp"
#include "collectives/runtime/data_type.hpp"

namespace weft::tools {

struct BenchCase {
    const PlanTemplate* plan = nullptr;  // outlives the case
    std::uint64_t count = 0;             // Binding::count
    live::DataType dtype = live::DataType::kF32;
    live::ReduceOp op = live::ReduceOp::kSum;
};

/// Elements of the buffer that a rank passes in or gets out.
[[nodiscard]] std::uint64_t elements_of(const BenchCase& c, Buffer buffer, std::uint32_t rank);
/// In place: bytes from the larger of the rank's two buffers to this one.
[[nodiscard]] std::size_t own_offset(const BenchCase& c, Buffer buffer, std::uint32_t rank);

void fill_input(const BenchCase& c, std::uint32_t rank, void* input);

/// How many elements of the output of `rank` are not what they must be, bit for bit.
[[nodiscard]] std::uint64_t count_wrong(const BenchCase& c, std::uint32_t rank, const void* output);

}  // namespace weft::tools
