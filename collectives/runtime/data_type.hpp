#pragma once
// Element types and reductions of live collectives, spelled as nccl-tests spells them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::live {

enum class DataType : std::uint8_t { kF32, kF64, kBf16, kF16, kI8, kU8, kI32, kI64, kU64 };
enum class ReduceOp : std::uint8_t { kSum, kMin, kMax, kAvg };

inline constexpr std::array kDataTypes{DataType::kF32, DataType::kF64, DataType::kBf16,
                                       DataType::kF16, DataType::kI8,  DataType::kU8,
                                       DataType::kI32, DataType::kI64, DataType::kU64};
inline constexpr std::array kReduceOps{ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax,
                                       ReduceOp::kAvg};

[[nodiscard]] std::size_t size_of(DataType t);
[[nodiscard]] const char* name_of(DataType t);   // "float", "bfloat16", "int32"
[[nodiscard]] const char* name_of(ReduceOp op);  // "sum"
/// By name; ConfigError for any other text.
[[nodiscard]] DataType parse_data_type(std::string_view text);
[[nodiscard]] ReduceOp parse_reduce_op(std::string_view text);

}  // namespace weft::live
