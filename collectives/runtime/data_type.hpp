#pragma once
// Element types and reductions of live collectives, spelled as nccl-tests spells them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::live {

enum class DataType : std::uint8_t {
    kF32,
    kF64,
    kBf16,
    kF16,
    kFp8E4m3,
    kFp8E5m2,
    kI8,
    kU8,
    kI32,
    kU32,
    kI64,
    kU64
};
/// kPreMulSum: every rank's input is multiplied by a factor first (kernels.hpp, scale()).
enum class ReduceOp : std::uint8_t { kSum, kProd, kMin, kMax, kAvg, kPreMulSum };

inline constexpr std::array kDataTypes{DataType::kF32, DataType::kF64,     DataType::kBf16,
                                       DataType::kF16, DataType::kFp8E4m3, DataType::kFp8E5m2,
                                       DataType::kI8,  DataType::kU8,      DataType::kI32,
                                       DataType::kU32, DataType::kI64,     DataType::kU64};
/// The reductions that need no argument: all but kPreMulSum.
inline constexpr std::array kReduceOps{ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMin,
                                       ReduceOp::kMax, ReduceOp::kAvg};

[[nodiscard]] std::size_t size_of(DataType t);
/// "float", "bfloat16", "int32"; "?" for a value that is none, such as one from a peer's message.
[[nodiscard]] const char* name_of(DataType t);
[[nodiscard]] const char* name_of(ReduceOp op);  // "sum", "mulsum"; "?" likewise
/// By name; ConfigError for any other text.
[[nodiscard]] DataType parse_data_type(std::string_view text);
/// One of kReduceOps.
[[nodiscard]] ReduceOp parse_reduce_op(std::string_view text);

}  // namespace weft::live
