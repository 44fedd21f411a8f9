#include "simulator/packet/flow_summary.hpp"

#include <algorithm>
#include <map>

namespace weft::packet {
namespace {

constexpr std::size_t kBins = 20;

/// Sorts.
Percentiles percentiles(std::vector<std::int64_t>& values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const auto rank = [&](std::size_t percent) {
        return values[(values.size() * percent + 99) / 100 - 1];
    };
    return {.p50 = rank(50), .p95 = rank(95), .p99 = rank(99), .max = values.back()};
}

struct Finished {
    Bytes size;
    std::int64_t slowdown;
};

std::vector<SizeBin> bins_of(std::vector<Finished>& flows) {
    std::stable_sort(flows.begin(), flows.end(),
                     [](const Finished& a, const Finished& b) { return a.size < b.size; });
    std::vector<SizeBin> bins;
    std::size_t begin = 0;
    for (std::size_t b = 1; b <= kBins; ++b) {
        const std::size_t end = flows.size() * b / kBins;
        if (end == begin) continue;
        if (end < flows.size() && flows[end].size == flows[end - 1].size) continue;
        std::vector<std::int64_t> slowdowns;
        for (std::size_t i = begin; i < end; ++i) slowdowns.push_back(flows[i].slowdown);
        bins.push_back({.largest = flows[end - 1].size,
                        .flows = end - begin,
                        .slowdown_milli = percentiles(slowdowns)});
        begin = end;
    }
    return bins;
}

FlowGroup group_of(const FlowSet& set, const FlowRun& run, std::uint16_t tag,
                   const std::vector<std::size_t>& members) {
    FlowGroup g;
    g.tag = tag;
    g.flows = members.size();
    std::vector<std::int64_t> completions, slowdowns;
    std::vector<Finished> finished;
    for (const std::size_t f : members) {
        const FlowTimes& t = run.flows[f];
        if (t.start == SimTime::never()) ++g.never_started;
        if (t.acknowledged == SimTime::never()) continue;
        ++g.finished;
        g.bytes += set.flows[f].size;
        completions.push_back((t.acknowledged - t.start).ps());
        slowdowns.push_back(slowdown_milli(t));
        finished.push_back({set.flows[f].size, slowdowns.back()});
    }
    g.completion_ps = percentiles(completions);
    g.slowdown_milli = percentiles(slowdowns);
    g.bins = bins_of(finished);
    return g;
}

}  // namespace

std::int64_t slowdown_milli(const FlowTimes& t) {
    constexpr std::int64_t kOne = 1000;
    const std::int64_t alone = std::max<std::int64_t>(1, t.alone.ps());
    const Int128 milli = Int128{(t.acknowledged - t.start).ps()} * kOne / alone;
    return std::max(kOne, static_cast<std::int64_t>(milli));
}

std::vector<FlowGroup> summarize(const FlowSet& set, const FlowRun& run) {
    std::map<std::uint16_t, std::vector<std::size_t>> by_tag;
    for (std::size_t f = 0; f < set.flows.size(); ++f) by_tag[set.flows[f].tag].push_back(f);
    std::vector<FlowGroup> groups;
    for (const auto& [tag, members] : by_tag) groups.push_back(group_of(set, run, tag, members));
    return groups;
}

}  // namespace weft::packet
