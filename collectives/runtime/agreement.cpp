#include "collectives/runtime/agreement.hpp"

#include <fmt/format.h>

#include "collectives/runtime/data_type.hpp"

namespace weft::live {

namespace {

std::string differences(const OperationHead& ours, const OperationHead& theirs) {
    std::string text;
    const auto note = [&](const char* what, const std::string& a, const std::string& b) {
        if (a != b) text += fmt::format("; {} {} here, {} there", what, a, b);
    };
    note("plan", fmt::format("{:016x}", ours.plan_hash), fmt::format("{:016x}", theirs.plan_hash));
    note("count", std::to_string(ours.count), std::to_string(theirs.count));
    note("type", name_of(static_cast<DataType>(ours.dtype)),
         name_of(static_cast<DataType>(theirs.dtype)));
    note("reduction", name_of(static_cast<ReduceOp>(ours.reduction)),
         name_of(static_cast<ReduceOp>(theirs.reduction)));
    return text;
}

}  // namespace

LiveError explain(const Fault& fault, std::uint32_t rank) {
    LiveError e{.rank = static_cast<int>(rank), .peer = static_cast<int>(fault.peer)};
    switch (fault.kind) {
        case Fault::Kind::kDisagreement:
            e.what = fmt::format("operation {} is not the same on rank {} and rank {}{}",
                                 fault.ours.operation, rank, fault.peer,
                                 differences(fault.ours, fault.theirs));
            break;
        case Fault::Kind::kAborted:
            e.what = fmt::format("rank {} gave up: {}", fault.peer, fault.what);
            break;
        case Fault::Kind::kWrongSize:
            e.what = fmt::format("from rank {} {}", fault.peer, fault.what);
            break;
    }
    return e;
}

}  // namespace weft::live
