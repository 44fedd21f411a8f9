#pragma once
// What a reduction does to elements. out[i] = incoming[i] (op) local[i], in this order of operands.
//
// Integers wrap. bf16 and f16: widen to f32, one operation, round to nearest even. min and max
// propagate NaN. avg is a sum, then one divide() at the owner: integers toward zero.
// Cost: one pass over two operands and the result; memory-bound beyond the caches.
#include <cstddef>
#include <cstdint>

#include "collectives/runtime/data_type.hpp"

namespace weft::live {

/// `out` may be `local` itself; otherwise the three do not overlap.
void reduce(DataType type, ReduceOp op, const void* incoming, const void* local, void* out,
            std::size_t count);

/// data[i] = data[i] / n.
void divide(DataType type, void* data, std::size_t count, std::uint32_t n);

}  // namespace weft::live
