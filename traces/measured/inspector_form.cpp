// Measured times from the logs of NCCL's Inspector plug-in (NCCL_INSPECTOR_ENABLE=1): one JSON
// object a collective, files of several processes laid end to end or not. Its sizes are those of
// one rank for all-gather and reduce-scatter; nccl-tests' total is that times the ranks.
#include <cmath>
#include <fmt/format.h>

#include "traces/detail/json_values.hpp"
#include "traces/measured/forms.hpp"
#include "traces/torch/torch.hpp"

namespace weft::measured {
namespace {

using detail::Json;
using detail::JsonRecord;

bool per_rank(Collective kind) {
    return kind == Collective::kAllGather || kind == Collective::kReduceScatter;
}

void read_object(const JsonRecord& j, Recorded& all) {
    const JsonRecord header = j.object("header");
    if (!j.has("coll_perf")) return;  // a message, or what a later version adds
    const JsonRecord perf = j.object("coll_perf");
    const auto kind = torch::collective_of(perf.text("coll"));
    // NCCL runs these as messages.
    if (!kind || *kind == Collective::kAllToAll || *kind == Collective::kGather ||
        *kind == Collective::kScatter)
        return;
    const std::int64_t ranks = header.number("n_ranks", 1, kMaxWorld);
    const std::int64_t bytes = perf.number("coll_msg_size_bytes", 0, kMostBytes);
    const Int128 total = Int128{bytes} * (per_rank(*kind) ? ranks : 1);
    if (total > kMostBytes)
        perf.fault("coll_msg_size_bytes", std::to_string(bytes), "at most 1 PiB over all ranks");
    constexpr double kMostUs = static_cast<double>(kMostPs) / 1e6;
    const SimDuration time{std::llround(perf.real("coll_exec_time_us", 0, kMostUs) * 1e6)};
    if (ranks == 1 || total == 0 || time == SimDuration{0}) return;
    const std::string name = header.text_or("comm_name", "unknown");
    const std::uint32_t group =
        all.group({name == "unknown" ? "" : name, static_cast<std::uint32_t>(ranks), {}});
    const std::int64_t number = perf.number("coll_sn", 0, std::int64_t{1} << 62);
    all.add(group, *kind, Bytes{static_cast<std::int64_t>(total)},
            fmt::format("{}/{}", header.text("id"), number), time);
}

}  // namespace

MeasuredTimes read_inspector(const TraceText& file) {
    Recorded all;
    detail::JsonValues values(file);
    Json value;
    while (values.next(value))
        read_object(JsonRecord(value, file.file, fmt::format("record {}", values.count())), all);
    if (all.empty())
        reject(file.file, 0, "coll_perf", "no timed collective of more than one rank",
               "logs of NCCL's Inspector with coll_exec_time_us", {});
    MeasuredTimes times;
    times.file = file.file;
    all.give(times, "NCCL Inspector");
    return times;
}

}  // namespace weft::measured
