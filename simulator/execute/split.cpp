#include "simulator/execute/split.hpp"

#include <map>
#include <tuple>

namespace weft {
namespace {

constexpr std::size_t kRowsAtEachEnd = 16;

RankSplit split_of(const CompiledProgram& p, const std::vector<OpTimes>& times) {
    RankSplit s;
    for (std::size_t i = 0; i < p.ops.size(); ++i) {
        if (p.ops[i].kind != CompiledOp::Kind::kCollective) continue;
        s.in_collectives += times[i].end - times[i].ready;
        s.waiting += times[i].start - times[i].ready;
        s.transferring += times[i].end - times[i].start;
    }
    return s;
}

using Key = std::tuple<SimDuration, SimDuration>;  // waiting, transferring
using Rows = std::map<Key, RankSplit>;

/// The row that holds the lower median of all ranks, by waiting.
RankSplit median(const Rows& rows) {
    std::uint64_t ranks = 0;
    for (const auto& [key, row] : rows) ranks += row.alike;
    std::uint64_t below = 0;
    for (const auto& [key, row] : rows) {
        below += row.alike;
        if (2 * below >= ranks) return row;
    }
    return {};
}

}  // namespace

RankSplits rank_splits(const World& world, const Machine& machine) {
    const flow::Quotient& q = world.quotient();
    const CompiledWorkload& w = world.workload();
    Rows rows;
    for (flow::ClassId c = 0; c < q.ranks.size(); ++c) {
        const std::uint32_t program = w.source->program_of[q.ranks[c].first.index()];
        RankSplit mine = split_of(w.programs[program], machine.times(c));
        if (mine.in_collectives == SimDuration{}) continue;
        mine.rank = q.ranks[c].first;
        mine.alike = static_cast<std::uint32_t>(q.ranks[c].count);
        const auto [row, fresh] = rows.try_emplace({mine.waiting, mine.transferring}, mine);
        if (fresh) continue;
        row->second.rank = std::min(row->second.rank, mine.rank);
        row->second.alike += mine.alike;
    }
    RankSplits out{.rows = {}, .typical = median(rows)};
    std::size_t i = 0;
    for (const auto& [key, row] : rows) {
        const bool near_an_end = i < kRowsAtEachEnd || i + kRowsAtEachEnd >= rows.size();
        if (near_an_end) out.rows.push_back(row);
        ++i;
    }
    return out;
}

}  // namespace weft
