#include "traces/measured/measured.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

#include "topology/io/document.hpp"
#include "traces/measured/forms.hpp"

namespace weft {
namespace measured {

const std::vector<std::string>& kind_names() {
    static const std::vector<std::string> names{"allreduce", "allgather", "reducescatter",
                                                "alltoall",  "broadcast", "sendrecv"};
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

using RowKey = std::tuple<std::string, Collective, Bytes>;

/// Family, kind and size of a communication op.
RowKey key_of(const Workload& w, const Op& op) {
    if (const auto* c = std::get_if<CollectiveOp>(&op.what))
        return {w.families[c->family].name, c->kind, c->size};
    const auto& p = std::get<P2pOp>(op.what);
    return {w.families[p.family].name, Collective::kSendRecv, p.size};
}

/// What of the workload is nearest to a row that nothing answers to.
std::string nearest(const std::map<RowKey, SimDuration>& known, const MeasuredRow& row) {
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

}  // namespace

MeasuredTimes read_measured(const TraceText& file) {
    const std::size_t first = file.text.find_first_not_of(" \t\r\n");
    if (first == std::string::npos)
        measured::reject(file.file, 0, {}, "an empty file", "measured times", {});
    MeasuredTimes times;
    if (file.text[first] == '{')
        times = measured::read_result(file);
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
    std::map<RowKey, SimDuration> known;  // every size that the workload moves
    for (const Program& p : w.programs)
        for (const Op& op : p.ops)
            if (!std::holds_alternative<ComputeOp>(op.what)) known[key_of(w, op)] = {};
    for (const MeasuredRow& row : times.rows) {
        const auto found = known.find({row.family, row.kind, row.size});
        if (found == known.end())
            measured::reject(
                times.file, row.line, "collectives",
                fmt::format("{} of {}B over {}", name_of(row.kind), row.size.count(), row.family),
                nearest(known, row), {});
        if (found->second > SimDuration{0})
            measured::reject(times.file, row.line, "collectives",
                             fmt::format("{} of {}B over {} again", name_of(row.kind),
                                         row.size.count(), row.family),
                             "one row for each group, collective and size", {});
        found->second = row.time;
    }
    check_families(times, w);
    for (Program& p : w.programs)
        for (Op& op : p.ops) {
            if (std::holds_alternative<ComputeOp>(op.what)) continue;
            const SimDuration time = known.at(key_of(w, op));
            if (time > SimDuration{0}) op.measured = time;
        }
    Measured& m = w.measured;
    const Measured& from = times.step;
    if (from.step) m.step = from.step;
    if (from.compute) m.compute = from.compute;
    if (from.bubble) m.bubble = from.bubble;
    if (!from.families.empty()) m.families = from.families;
    m.source = std::filesystem::path(times.file).filename().string();
}

}  // namespace weft
