#include "collectives/runtime/data_type.hpp"

#include <vector>

#include "base/registry.hpp"
#include "base/result.hpp"

namespace weft::live {

namespace {

struct TypeRow {
    DataType type;
    const char* name;
    std::size_t size;
};
constexpr std::array<TypeRow, kDataTypes.size()> kTypeRows{{
    {DataType::kF32, "float", 4},
    {DataType::kF64, "double", 8},
    {DataType::kBf16, "bfloat16", 2},
    {DataType::kF16, "half", 2},
    {DataType::kFp8E4m3, "f8e4m3", 1},
    {DataType::kFp8E5m2, "f8e5m2", 1},
    {DataType::kI8, "int8", 1},
    {DataType::kU8, "uint8", 1},
    {DataType::kI32, "int32", 4},
    {DataType::kU32, "uint32", 4},
    {DataType::kI64, "int64", 8},
    {DataType::kU64, "uint64", 8},
}};
constexpr std::array kOpNames{"sum", "prod", "min", "max", "avg", "mulsum"};

[[noreturn]] void unknown(const char* key, std::string_view text,
                          const std::vector<std::string>& names) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(text),
                       .expected = "one of " + suggest(text, names),
                       .example = names.front()});
}

}  // namespace

std::size_t size_of(DataType t) {
    return kTypeRows[static_cast<std::size_t>(t)].size;
}
const char* name_of(DataType t) {
    const auto i = static_cast<std::size_t>(t);
    return i < kTypeRows.size() ? kTypeRows[i].name : "?";
}
const char* name_of(ReduceOp op) {
    const auto i = static_cast<std::size_t>(op);
    return i < kOpNames.size() ? kOpNames[i] : "?";
}

DataType parse_data_type(std::string_view text) {
    std::vector<std::string> names;
    for (const TypeRow& row : kTypeRows) {
        if (text == row.name) return row.type;
        names.emplace_back(row.name);
    }
    unknown("--dtype", text, names);
}

ReduceOp parse_reduce_op(std::string_view text) {
    std::vector<std::string> names;
    for (const ReduceOp op : kReduceOps) {
        if (text == name_of(op)) return op;
        names.emplace_back(name_of(op));
    }
    unknown("--op", text, names);
}

}  // namespace weft::live
