// Measured times from the result.json of an earlier run of Weft (traces/results.cpp writes it).
#include <fmt/format.h>
#include <map>
#include <tuple>

#include "traces/detail/json_record.hpp"
#include "traces/measured/forms.hpp"

namespace weft::measured {
namespace {

using detail::Json;
using detail::JsonRecord;

SimDuration time_of(const JsonRecord& r, const char* key) {
    return SimDuration{r.number(key, 0, kMostPs)};
}

/// Rows of one size that ran by several algorithms are one row: their mean.
void read_collectives(const JsonRecord& root, MeasuredTimes& times) {
    struct Sum {
        Int128 ps = 0;
        std::int64_t count = 0;
    };
    constexpr std::int64_t kMostRuns = std::int64_t{1} << 40;
    std::map<std::tuple<std::string, Collective, Bytes>, Sum> sums;
    for (const JsonRecord& c : root.list("collectives")) {
        const Collective kind = kind_of(c.text("kind"), times.file, 0);
        Sum& sum = sums[{c.text("family"), kind, Bytes{c.number("size_bytes", 1, kMostBytes)}}];
        const std::int64_t count = c.number("count", 1, kMostRuns);
        sum.ps += Int128{time_of(c, "mean_time_ps").ps()} * count;
        sum.count += count;
    }
    for (const auto& [key, sum] : sums) {
        MeasuredRow row;
        std::tie(row.family, row.kind, row.size) = key;
        row.time = SimDuration{static_cast<std::int64_t>(sum.ps / sum.count)};
        if (row.time > SimDuration{0}) times.rows.push_back(std::move(row));
    }
}

}  // namespace

MeasuredTimes read_result(const TraceText& file) {
    const Json j = Json::parse(file.text, nullptr, false);
    if (j.is_discarded()) reject(file.file, 0, {}, "broken JSON", "a result.json of weft", {});
    MeasuredTimes times;
    times.file = file.file;
    const JsonRecord root(j, times.file, "");
    if (root.text("schema") != "weft/result/1")
        root.fault("schema", root.text("schema"), "weft/result/1");
    const SimDuration step = time_of(root, "step_time_ps");
    if (step > SimDuration{0}) times.step.step = step;
    const bool computes = root.flag("has_compute");
    if (computes) times.step.compute = time_of(root, "compute_ps");
    times.step.bubble = time_of(root, "bubble_ps");
    for (const JsonRecord& f : root.list("families")) {
        MeasuredFamily family{f.text("family"), time_of(f, "total_ps"), std::nullopt};
        if (computes) family.exposed = time_of(f, "exposed_ps");
        times.step.families.push_back(std::move(family));
    }
    read_collectives(root, times);
    return times;
}

}  // namespace weft::measured
