#include "collectives/api/detail/c_door.hpp"

namespace weft::live::c {

namespace {

ReduceOp to_op(weft_op_t op) {
    if (static_cast<unsigned>(op) >= kReduceOps.size())
        refuse("op", std::to_string(op), "a weft_op_t");
    return static_cast<ReduceOp>(op);
}

}  // namespace

std::string& last_error() {
    // One of a thread: an error is read by the thread that met it.
    static thread_local std::string text;
    return text;
}

weft_result_t fail(weft_result_t result, std::string why) {
    last_error() = std::move(why);
    return result;
}

weft_result_t fail(const LiveError& e) {
    return fail(WEFT_FAILED, to_string(e));
}

weft_result_t of(const Status& s) {
    return s ? WEFT_SUCCESS : fail(s.error());
}

void refuse(const char* key, const std::string& found, const char* expected) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = {}});
}

DataType to_type(weft_datatype_t type) {
    if (static_cast<unsigned>(type) >= kDataTypes.size())
        refuse("type", std::to_string(type), "a weft_datatype_t");
    return static_cast<DataType>(type);
}

static_assert(static_cast<int>(DataType::kU64) == WEFT_UINT64);
static_assert(static_cast<int>(DataType::kFp8E4m3) == WEFT_FLOAT8E4M3);
static_assert(static_cast<int>(ReduceOp::kAvg) == WEFT_AVG);

CollectiveCall exchange(Collective collective, const void* input, void* output, std::uint64_t count,
                        weft_datatype_t type) {
    return {.collective = collective,
            .input = input,
            .output = output,
            .count = count,
            .dtype = to_type(type)};
}

CollectiveCall reduction(Collective collective, const void* input, void* output,
                         std::uint64_t count, weft_datatype_t type, weft_op_t op) {
    CollectiveCall call = exchange(collective, input, output, count, type);
    call.op = to_op(op);
    return call;
}

CollectiveCall scaled_sum(Collective collective, const void* input, void* output,
                          std::uint64_t count, weft_datatype_t type, const void* factor) {
    CollectiveCall call = exchange(collective, input, output, count, type);
    call.op = ReduceOp::kPreMulSum;
    call.factor = factor;
    return call;
}

CollectiveCall at_root(CollectiveCall call, int root) {
    if (root < 0) refuse("root", std::to_string(root), "a rank");
    call.root = static_cast<std::uint32_t>(root);
    return call;
}

CollectiveCall broadcast(const void* input, void* output, std::uint64_t count, weft_datatype_t type,
                         int root) {
    // The root may leave the input out too: then it is in place.
    const void* from = input != nullptr ? input : output;
    return at_root(exchange(Collective::kBroadcast, from, output, count, type), root);
}

weft_comm& at(weft_comm_t comm) {
    if (!comm) refuse("comm", "a null pointer", "a communicator");
    return *comm;
}

}  // namespace weft::live::c
