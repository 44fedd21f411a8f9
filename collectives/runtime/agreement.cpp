#include "collectives/runtime/agreement.hpp"

#include <fmt/format.h>

#include "collectives/plan/plan.hpp"
#include "collectives/runtime/data_type.hpp"

namespace weft::live {

namespace {

// Heads come from other processes: a code may be one that this version has no name for.
std::string collective_name(const OperationHead& h) {
    if (h.collective < kCollectives.size()) return name_of(static_cast<Collective>(h.collective));
    return fmt::format("collective {}", h.collective);
}

std::string type_name(const OperationHead& h) {
    if (h.dtype < kDataTypes.size()) return name_of(static_cast<DataType>(h.dtype));
    return fmt::format("type {}", h.dtype);
}

std::string reduction_name(const OperationHead& h) {
    if (h.reduction < kReduceOps.size()) return name_of(static_cast<ReduceOp>(h.reduction));
    return fmt::format("reduction {}", h.reduction);
}

std::string differences(const OperationHead& a, std::uint32_t rank_a, const OperationHead& b,
                        std::uint32_t rank_b) {
    std::string text;
    const auto note = [&](const char* what, const std::string& x, const std::string& y) {
        if (x != y)
            text += fmt::format("; {}{} on rank {}, {} on rank {}", what, x, rank_a, y, rank_b);
    };
    note("", collective_name(a), collective_name(b));
    note("root ", std::to_string(a.root), std::to_string(b.root));
    note("count ", std::to_string(a.count), std::to_string(b.count));
    note("type ", type_name(a), type_name(b));
    note("reduction ", reduction_name(a), reduction_name(b));
    if (text.empty())
        note("plan ", fmt::format("{:016x}", a.plan_hash), fmt::format("{:016x}", b.plan_hash));
    return text;
}

std::string disagreement(const OperationHead& a, std::uint32_t rank_a, const OperationHead& b,
                         std::uint32_t rank_b) {
    return fmt::format("{} is not the same on rank {} and rank {}{}", describe(a), rank_a, rank_b,
                       differences(a, rank_a, b, rank_b));
}

}  // namespace

std::string whereabouts(const Absent& a) {
    switch (a.why) {
        case Absent::Why::kLate:
            return fmt::format("late: in no operation for {:.1f} s", a.seconds);
        case Absent::Why::kElsewhere:
            return fmt::format("in {} for {:.1f} s{}{}", describe(a.head), a.seconds,
                               a.where.empty() ? "" : ", where ", a.where);
        case Absent::Why::kSilent:
            return fmt::format("silent for {:.1f} s: stopped, or unreachable", a.seconds);
        default:
            return name_of(a.why);
    }
}

std::string describe(const OperationHead& head) {
    return fmt::format("{} {} of communicator {}", collective_name(head), head.operation,
                       head.context);
}

LiveError explain(const Alarm& alarm, std::uint32_t rank) {
    LiveError e{.rank = static_cast<int>(rank), .peer = static_cast<int>(alarm.rank)};
    switch (alarm.kind) {
        case Alarm::Kind::kAborted:
            e.what = fmt::format("rank {} gave up: {}", alarm.rank, alarm.what);
            break;
        case Alarm::Kind::kRevoked:
            e.what = fmt::format("rank {} revoked the communicator: {}", alarm.rank, alarm.what);
            break;
        case Alarm::Kind::kDisagreement:
            e.what = disagreement(alarm.ours, alarm.rank, alarm.theirs, alarm.peer);
            if (alarm.rank == rank) e.peer = static_cast<int>(alarm.peer);
            break;
        case Alarm::Kind::kRankLost:
            e.what =
                alarm.rank == rank
                    ? fmt::format("rank {} (this one) was taken for dead: {}", rank, alarm.what)
                    : fmt::format("rank {} is dead: {}", alarm.rank, alarm.what);
            break;
        case Alarm::Kind::kCountedOut:
            e.what = fmt::format("rank {}{} was counted out by rank {} and others: {}", alarm.rank,
                                 alarm.rank == rank ? " (this one)" : "", alarm.peer, alarm.what);
            break;
    }
    return e;
}

LiveError explain(const Fault& fault, std::uint32_t rank) {
    LiveError e{.rank = static_cast<int>(rank), .peer = static_cast<int>(fault.peer)};
    if (fault.kind == Fault::Kind::kDisagreement)
        e.what = disagreement(fault.ours, rank, fault.theirs, fault.peer);
    else
        e.what = fmt::format("from rank {} {}", fault.peer, fault.what);
    return e;
}

std::string explain(const std::vector<Absent>& absent) {
    if (absent.empty()) return "all ranks have arrived";
    std::string text = "not arrived: ";
    for (const Absent& a : absent)
        text +=
            fmt::format("{}rank {} ({})", &a == absent.data() ? "" : ", ", a.rank, whereabouts(a));
    return text;
}

}  // namespace weft::live
