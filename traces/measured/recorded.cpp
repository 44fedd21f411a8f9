// From single collectives of a record to rows, and from communicators to families.
#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <set>

#include "traces/measured/forms.hpp"

namespace weft::measured {

std::uint32_t Recorded::group(MeasuredGroup group) {
    const auto next = static_cast<std::uint32_t>(groups_.size());
    const auto [entry, fresh] =
        index_.try_emplace(std::tuple(group.name, group.size, group.ranks), next);
    if (fresh) groups_.push_back(std::move(group));
    return entry->second;
}

void Recorded::add(std::uint32_t group, Collective kind, Bytes size, const std::string& run,
                   SimDuration time) {
    const auto [entry, fresh] = all_[{group, kind, size}].try_emplace(run, Shortest{time, 0});
    Shortest& s = entry->second;
    s.time = std::min(s.time, time);
    ++s.members;
}

void Recorded::give(MeasuredTimes& times, const std::string& what) {
    std::int64_t members = 1;
    for (const auto& [key, runs] : all_) {
        Int128 sum = 0;
        for (const auto& [run, shortest] : runs) {
            sum += shortest.time.ps();
            members = std::max(members, shortest.members);
        }
        MeasuredRow row;
        std::tie(row.group, row.kind, row.size) = key;
        row.count = static_cast<std::int64_t>(runs.size());
        row.time = SimDuration{static_cast<std::int64_t>(sum / row.count)};
        times.rows.push_back(std::move(row));
    }
    times.groups = std::move(groups_);
    times.note = members > 1 ? fmt::format("{}, shortest of {} members", what, members)
                             : what + " of one rank, waiting for others included";
}

namespace {

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

bool is_group_of(const MeasuredGroup& group, const Partition& rule, std::uint32_t world) {
    if (group.size != rule.size) return false;
    if (group.ranks.empty()) return true;
    std::set<std::uint32_t> positions;
    for (const std::uint32_t rank : group.ranks) {
        if (rank >= world || rule.cell(rank) != rule.cell(group.ranks.front())) return false;
        positions.insert(rule.position(rank));
    }
    return positions.size() == rule.size;
}

std::string described(const MeasuredGroup& g, const MeasuredRow& row) {
    return fmt::format("{} of {} over {} ({} ranks)", name_of(row.kind), to_string(row.size),
                       g.name.empty() ? "a communicator" : printable(g.name, 40), g.size);
}

}  // namespace

std::vector<std::string> resolve(const MeasuredTimes& times, const Workload& w,
                                 const std::map<RowKey, std::int64_t>& known,
                                 std::vector<MeasuredRow>& rows) {
    std::vector<std::vector<std::string>> families(times.groups.size());
    for (std::size_t i = 0; i < times.groups.size(); ++i)
        for (const GroupFamily& f : w.families)
            if (is_group_of(times.groups[i], f.groups, w.world)) families[i].push_back(f.name);
    std::vector<std::string> unmatched;
    std::vector<MeasuredRow> found;
    for (MeasuredRow& row : rows) {
        const MeasuredGroup& group = times.groups[row.group.value()];
        std::vector<std::string> running;
        for (const std::string& f : families[row.group.value()])
            if (known.count({f, row.kind, row.size}) != 0) running.push_back(f);
        const auto same = std::find_if(running.begin(), running.end(), [&](const std::string& f) {
            return lower(f) == lower(group.name);
        });
        if (same != running.end()) running = {*same};
        if (running.size() == 1) {
            row.family = running.front();
            found.push_back(std::move(row));
        } else {
            unmatched.push_back(
                described(group, row) +
                (running.empty() ? "" : fmt::format(", which of {}", fmt::join(running, " and "))));
        }
    }
    rows = std::move(found);
    return unmatched;
}

}  // namespace weft::measured
