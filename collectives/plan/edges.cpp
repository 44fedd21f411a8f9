// What an engine reads of a stage without expanding it: its edges and what each carries.
#include <algorithm>

#include "base/check.hpp"
#include "collectives/plan/plan.hpp"

namespace weft {

namespace {

/// First index of each distinct peer, in order of first use.
std::vector<std::uint32_t> first_uses(const std::vector<Transfer>& sends) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 0; i < sends.size(); ++i)
        if (sends[i].ordinal == 0) out.push_back(i);
    return out;
}

const Stage& stage_of(const PlanTemplate& p, std::size_t channel, std::size_t stage) {
    return p.channels[channel].stages[stage];
}

/// Elements of all `size` chunks of a map at a rank; O(1) when the chunks lie side by side.
std::uint64_t all_chunks(const PlanTemplate& p, const Binding& b, std::size_t channel,
                         const ChunkMap& m, const Partition& cells, std::uint32_t rank) {
    if (p.blocked()) return cells.size * elements(p, b, channel, m.units(cells, rank, 0));
    if (m.stride == 1 && m.index_step == m.span && !m.by_rank) {
        UnitSet all = m.units(cells, rank, 0);
        all.count = m.span * cells.size;
        return elements(p, b, channel, all);
    }
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < cells.size; ++i)
        sum += elements(p, b, channel, m.units(cells, rank, i));
    return sum;
}

/// Edges between the root and the rank that is farthest from it. In a complete tree the last node
/// is deepest.
std::uint32_t tree_depth(const Tree& t, std::uint32_t size) {
    std::uint32_t deepest = 0;
    for (std::uint32_t v = t.in_order ? 0 : size - t.chain; v < size; v += t.chain) {
        std::uint32_t depth = 0;
        for (std::uint32_t w = v; w > 0; w = tree_parent(t, w, size)) ++depth;
        deepest = std::max(deepest, depth);
    }
    return deepest + t.chain - 1;
}

/// Over any `size` consecutive steps a ring edge carries every chunk once.
std::uint64_t ring_elements(const PlanTemplate& p, const Binding& b, std::size_t channel,
                            std::size_t stage, std::uint32_t rank, const Ring& r) {
    const Stage& s = stage_of(p, channel, stage);
    const std::uint32_t size = s.cells.size;
    const std::uint64_t round = all_chunks(p, b, channel, r.chunks, s.cells, rank);
    const std::uint32_t rest = r.steps % size;
    std::uint64_t sum = round * (r.steps / size);
    // Of a last, partial round add what it sends or subtract what it does not, whichever is
    // shorter.
    const bool add = rest <= size / 2;
    if (!add) sum += round;
    for (std::uint32_t i = add ? 0 : rest; i < (add ? rest : size); ++i) {
        const std::uint64_t e = elements(p, b, channel, send_at(p, channel, stage, rank, i).units);
        sum = add ? sum + e : sum - e;
    }
    return sum;
}

}  // namespace

std::uint32_t edge_count(const PlanTemplate& p, std::size_t channel, std::size_t stage,
                         std::uint32_t rank) {
    const Stage& s = stage_of(p, channel, stage);
    const std::uint32_t sends = send_count(p, channel, stage, rank);
    if (std::holds_alternative<Ring>(s.pattern)) return sends > 0 ? 1 : 0;
    if (const auto* t = std::get_if<Tree>(&s.pattern)) return sends / std::max(1u, t->chunk_count);
    if (const auto* e = std::get_if<Explicit>(&s.pattern))
        return static_cast<std::uint32_t>(first_uses(e->sends[rank]).size());
    return sends;
}

StageEdge edge_at(const PlanTemplate& p, std::size_t channel, std::size_t stage, std::uint32_t rank,
                  std::uint32_t i) {
    const Stage& s = stage_of(p, channel, stage);
    std::uint32_t index = i;
    if (const auto* e = std::get_if<Explicit>(&s.pattern)) index = first_uses(e->sends[rank])[i];
    const Transfer t = send_at(p, channel, stage, rank, index);
    return {rank, t.peer, t.of, t.step};
}

std::uint64_t edge_elements(const PlanTemplate& p, const Binding& b, std::size_t channel,
                            std::size_t stage, std::uint32_t rank, std::uint32_t i) {
    const Stage& s = stage_of(p, channel, stage);
    if (const auto* r = std::get_if<Ring>(&s.pattern))
        return ring_elements(p, b, channel, stage, rank, *r);
    if (std::holds_alternative<Direct>(s.pattern))
        return elements(p, b, channel, send_at(p, channel, stage, rank, i).units);
    const std::uint32_t peer = edge_at(p, channel, stage, rank, i).dst;
    std::uint64_t sum = 0;
    for (std::uint32_t k = 0; k < send_count(p, channel, stage, rank); ++k) {
        const Transfer t = send_at(p, channel, stage, rank, k);
        if (t.peer == peer) sum += elements(p, b, channel, t.units);
    }
    return sum;
}

bool coupled(const Stage& stage) {
    return std::holds_alternative<Ring>(stage.pattern) ||
           std::holds_alternative<Tree>(stage.pattern);
}

std::uint32_t dependent_steps(const PlanTemplate& p, const Stage& stage) {
    if (const auto* r = std::get_if<Ring>(&stage.pattern))
        return stage.cells.size > 1 ? r->steps : 0;
    if (const auto* t = std::get_if<Tree>(&stage.pattern)) {
        // The deepest rank: its depth, and one more step for each further chunk.
        const std::uint32_t depth = tree_depth(*t, stage.cells.size);
        return depth == 0 ? 0 : depth + t->chunk_count - 1;
    }
    if (std::holds_alternative<Direct>(stage.pattern)) return stage.cells.size > 1 ? 1 : 0;
    std::uint32_t last = 0;
    for (const auto& list : std::get<Explicit>(stage.pattern).sends)
        for (const Transfer& t : list) last = std::max(last, t.step + 1);
    WEFT_CHECK(p.n >= 1, "a plan has ranks");
    return last;
}

}  // namespace weft
