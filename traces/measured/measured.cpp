#include "traces/measured/measured.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

#include "topology/io/document.hpp"
#include "traces/detail/json_values.hpp"
#include "traces/measured/forms.hpp"

namespace weft {
namespace measured {

const std::vector<std::string>& kind_names() {
    static const std::vector<std::string> names{"allreduce", "allgather", "reducescatter",
                                                "alltoall",  "broadcast", "sendrecv",
                                                "reduce",    "gather",    "scatter"};
    return names;
}

void reject(const std::string& file, int line, const std::string& key, const std::string& found,
            const std::string& expected, const std::string& example) {
    throw ConfigError({.file = file,
                       .line = line,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

Collective kind_of(const std::string& name, const std::string& file, int line) {
    const std::vector<std::string>& names = kind_names();
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<Collective>(i);
    reject(file, line, "collective", name, "one of " + suggest(name, names), names.front());
}

}  // namespace measured

namespace {

using measured::RowKey;

/// Family, kind and size of a communication op.
RowKey key_of(const Workload& w, const Op& op) {
    if (const auto* c = std::get_if<CollectiveOp>(&op.what))
        return {w.families[c->family].name, c->kind, c->size};
    const auto& p = std::get<P2pOp>(op.what);
    return {w.families[p.family].name, Collective::kSendRecv, p.size};
}

/// What of the workload is nearest to a row that nothing answers to.
std::string nearest(const std::map<RowKey, std::int64_t>& known, const MeasuredRow& row) {
    std::string sizes;
    std::string kinds;
    for (const auto& [key, unused] : known) {
        const auto& [family, kind, size] = key;
        if (family != row.family) continue;
        const std::string name = name_of(kind);
        if (kinds.find(name) == std::string::npos) kinds += (kinds.empty() ? "" : ", ") + name;
        if (kind == row.kind && sizes.size() < 80)
            sizes += (sizes.empty() ? "" : ", ") + std::to_string(size.count()) + "B";
    }
    if (!sizes.empty())
        return fmt::format("a size of {} over {}: {}", name_of(row.kind), row.family, sizes);
    if (!kinds.empty()) return fmt::format("a collective that {} runs: {}", row.family, kinds);
    return "a group of the workload that communicates";
}

void check_families(const MeasuredTimes& times, const Workload& w) {
    std::vector<std::string> names;
    for (const GroupFamily& g : w.families) names.push_back(g.name);
    std::set<std::string> seen;
    for (const MeasuredFamily& f : times.step.families) {
        if (!seen.insert(f.family).second)
            measured::reject(times.file, 0, "families", f.family + " again", "each family once",
                             {});
        if (std::find(names.begin(), names.end(), f.family) == names.end())
            measured::reject(times.file, 0, "families", f.family,
                             names.empty() ? "no family: the workload has no groups"
                                           : "one of " + suggest(f.family, names),
                             {});
    }
}

/// Which of the forms that begin with a brace.
MeasuredTimes read_json(const TraceText& file) {
    detail::Json first;
    detail::JsonValues(file).next(first);
    if (first.contains("schema")) return measured::read_result(file);
    if (first.contains("header")) return measured::read_inspector(file);
    if (first.contains("entries") || first.contains("pg_config"))
        return measured::read_flight_recorder(file);
    if (first.contains("traceEvents"))
        measured::reject(file.file, 0, "traceEvents", "a trace of PyTorch's profiler",
                         "measured times; such a trace holds its own: replay it",
                         "weft replay profile.json");
    measured::reject(file.file, 0, {}, "JSON of no known form",
                     "a result.json of weft, a flight recorder's dump or NCCL Inspector's log", {});
}

/// The mean time of every size that the workload moves, 0 where none was measured.
using Means = std::map<RowKey, std::int64_t>;

/// Rows that a person wrote name each size once.
void lay_named(const MeasuredTimes& times, Means& means) {
    for (const MeasuredRow& row : times.rows) {
        if (row.group) continue;
        const std::string what =
            fmt::format("{} of {}B over {}", name_of(row.kind), row.size.count(), row.family);
        const auto found = means.find({row.family, row.kind, row.size});
        if (found == means.end())
            measured::reject(times.file, row.line, "collectives", what, nearest(means, row), {});
        if (found->second > 0)
            measured::reject(times.file, row.line, "collectives", what + " again",
                             "one row for each group, collective and size", {});
        found->second = row.time.ps();
    }
}

/// Rows of a record: several communicators may be groups of one family. What no op answers to.
std::vector<std::string> lay_recorded(const MeasuredTimes& times, const Workload& w, Means& means) {
    std::vector<MeasuredRow> rows;
    for (const MeasuredRow& row : times.rows)
        if (row.group) rows.push_back(row);
    if (rows.empty()) return {};
    std::vector<std::string> unmatched = measured::resolve(times, w, means, rows);
    if (rows.empty())
        measured::reject(times.file, 0, {}, unmatched.front(),
                         "at least one collective that the workload runs, over the same ranks", {});
    std::map<RowKey, std::pair<Int128, std::int64_t>> sums;
    for (const MeasuredRow& row : rows) {
        auto& [sum, count] = sums[{row.family, row.kind, row.size}];
        sum += Int128{row.time.ps()} * row.count;
        count += row.count;
    }
    for (const auto& [key, sum] : sums)
        means[key] = static_cast<std::int64_t>(sum.first / sum.second);
    return unmatched;
}

}  // namespace

MeasuredTimes read_measured(const TraceText& file) {
    const std::size_t first = file.text.find_first_not_of(" \t\r\n");
    if (first == std::string::npos)
        measured::reject(file.file, 0, {}, "an empty file", "measured times", {});
    MeasuredTimes times;
    if (file.text[first] == '{')
        times = read_json(file);
    else if (file.text.compare(first, 6, "group,") == 0)
        times = measured::read_csv(file);
    else
        times = measured::read_yaml(file);
    times.file = file.file;
    const Measured& s = times.step;
    if (times.rows.empty() && !s.step && !s.compute && !s.bubble && s.families.empty())
        measured::reject(file.file, 0, {}, "no measured time", "a step or rows of collectives",
                         "step: 4.9s");
    return times;
}

MeasuredTimes load_measured(const std::string& path) {
    return read_measured({path, read_trace_file(path)});
}

void apply(const MeasuredTimes& times, Workload& w) {
    Means means;
    for (const Program& p : w.programs)
        for (const Op& op : p.ops)
            if (!std::holds_alternative<ComputeOp>(op.what)) means[key_of(w, op)] = 0;
    lay_named(times, means);
    std::vector<std::string> unmatched = lay_recorded(times, w, means);
    check_families(times, w);
    for (Program& p : w.programs)
        for (Op& op : p.ops) {
            if (std::holds_alternative<ComputeOp>(op.what)) continue;
            const std::int64_t mean = means.at(key_of(w, op));
            if (mean > 0) op.measured = SimDuration{mean};
        }
    Measured& m = w.measured;
    const Measured& from = times.step;
    if (from.step) m.step = from.step;
    if (from.compute) m.compute = from.compute;
    if (from.bubble) m.bubble = from.bubble;
    if (!from.families.empty()) m.families = from.families;
    m.source = std::filesystem::path(times.file).filename().string();
    if (!times.note.empty()) m.source += " (" + times.note + ")";
    m.unmatched = std::move(unmatched);
}

}  // namespace weft
