#include "tests/property/naive_expander.hpp"

#include <algorithm>

namespace weft::testing {

bool NaiveExpander::has(int buffer, std::uint32_t u) const {
    if (buffer == 2) return true;
    switch (p_.collective) {
        case Collective::kAllGather:
            return buffer == 1 || u == me_;
        case Collective::kReduceScatter:
            return buffer == 0 || u == me_;
        case Collective::kBroadcast:
            return buffer == 1 || me_ == p_.root;
        case Collective::kSendRecv:
            return buffer == 0 ? me_ == p_.root : me_ == (p_.root + 1) % p_.n;
        default:
            return true;
    }
}

std::vector<NaiveOp> NaiveExpander::stage(const Stage& s) const {
    std::vector<NaiveOp> out;
    if (const auto* e = std::get_if<Explicit>(&s.pattern)) {
        for (const bool send : {true, false})
            for (const Transfer& t : (send ? e->sends : e->recvs)[me_]) {
                std::vector<std::uint32_t> list;
                for (std::uint32_t k = 0; k < t.units.count; ++k)
                    list.push_back(t.units.first + k * t.units.stride);
                out.push_back({0, t.step, t.peer, send, list, {}, {}});
            }
        return out;
    }
    const std::vector<std::uint32_t> cell = cell_of(s.cells, me_);
    const long m = static_cast<long>(cell.size());
    const long p = index_in(cell, me_);
    if (m == 1) return out;
    if (const auto* r = std::get_if<Ring>(&s.pattern)) {
        const long d = r->direction;
        for (long t = 0; t < r->steps; ++t) {
            const auto step = static_cast<std::uint32_t>(t);
            out.push_back({0,
                           step,
                           cell[mod(p + d, m)],
                           true,
                           units(r->chunks, cell, mod(p + d * (r->first - t), m)),
                           {},
                           {}});
            out.push_back({0,
                           step,
                           cell[mod(p - d, m)],
                           false,
                           units(r->chunks, cell, mod(p + d * (r->first - t - 1), m)),
                           {},
                           {}});
        }
    } else if (const auto* x = std::get_if<Direct>(&s.pattern)) {
        for (long t = 0; t + 1 < m; ++t) {
            const auto step = static_cast<std::uint32_t>(t);
            const std::uint32_t to = mod(p + t + 1, m);
            const std::uint32_t from = mod(p - t - 1, m);
            const auto own = static_cast<std::uint32_t>(p);
            out.push_back({0,
                           step,
                           cell[to],
                           true,
                           units(x->send_chunks, cell, x->by_destination ? to : own),
                           {},
                           {}});
            const bool mine = x->by_destination && !x->recv_by_source;
            out.push_back({0,
                           step,
                           cell[from],
                           false,
                           units(x->recv_chunks, cell, mine ? own : from),
                           {},
                           {}});
        }
    } else if (const auto* tree = std::get_if<Tree>(&s.pattern)) {
        const long v = mod(p - tree->root, m);
        for (std::uint32_t i = 0; i < tree->chunk_count; ++i) {
            const auto list = units(tree->chunks, cell, i);
            if (v > 0)
                out.push_back(
                    {0, i, cell[mod((v - 1) / tree->radix + tree->root, m)], false, list, {}, {}});
            for (long w = v * tree->radix + 1; w <= v * tree->radix + tree->radix && w < m; ++w)
                out.push_back({0, i + 1, cell[mod(w + tree->root, m)], true, list, {}, {}});
        }
    }
    return out;
}

void NaiveExpander::resolve(NaiveOp& op, const Stage& s) {
    for (const std::uint32_t u : op.units) {
        if (op.send) {
            op.place.push_back(read_place(static_cast<int>(s.source), u));
            op.local.push_back(op.place.back());
            continue;
        }
        int to = static_cast<int>(s.destination);
        if (to == 1 && !has(1, u)) to = 2;
        op.place.push_back(to);
        op.local.push_back(
            s.arrival == Arrival::kReduce ? read_place(static_cast<int>(s.destination), u) : to);
        written_[{to, u}] = true;
    }
}

NaiveChannel NaiveExpander::channel(const Channel& c) {
    NaiveChannel out;
    written_.clear();
    for (std::uint32_t i = 0; i < c.stages.size(); ++i) {
        std::vector<NaiveOp> ops = stage(c.stages[i]);
        std::stable_sort(ops.begin(), ops.end(), [](const NaiveOp& a, const NaiveOp& b) {
            return a.step != b.step ? a.step < b.step : a.send && !b.send;
        });
        out.sends.emplace_back();
        out.recvs.emplace_back();
        for (NaiveOp& op : ops) {
            op.stage = i;
            resolve(op, c.stages[i]);
            (op.send ? out.sends : out.recvs).back().push_back(op);
        }
    }
    for (std::uint32_t u = 0; u < c.units; ++u) {
        if (!has(1, u) || written_[{1, u}]) continue;
        const int from = read_place(1, u);
        if (from == 1 || (from == 0 && !has(0, u))) continue;
        out.copies.push_back({0, 0, me_, false, {u}, {1}, {from}});
    }
    return out;
}

}  // namespace weft::testing
