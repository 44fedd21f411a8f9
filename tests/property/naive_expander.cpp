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
        case Collective::kReduce:
            return buffer == 0 || me_ == p_.root;
        case Collective::kGather:
            return buffer == 0 ? u == me_ : me_ == p_.root;
        case Collective::kScatter:
            return buffer == 0 ? me_ == p_.root : u == me_;
        default:
            return true;
    }
}

namespace {

/// The children of every v, in order, by building the tree from the page's words.
std::vector<std::vector<long>> children_of(const Tree& t, long m) {
    const long chain = t.chain, nodes = m / chain;
    std::vector<std::vector<long>> out(static_cast<std::size_t>(m));
    for (long v = 0; v < m; ++v) {
        std::vector<long>& mine = out[static_cast<std::size_t>(v)];
        if (v % chain + 1 < chain) mine.push_back(v + 1);
        if (v % chain != 0) continue;
        const long x = v / chain;
        if (!t.in_order) {
            for (long y = x * t.radix + 1; y <= x * t.radix + t.radix && y < nodes; ++y)
                mine.push_back(y * chain);
            continue;
        }
        long half = 1;  // half the largest power of two that divides x; of 0: of the first >= nodes
        while (x == 0 ? 2 * half < nodes : x % (4 * half) == 0) half *= 2;
        if (x % 2 == 1 || nodes == 1) continue;
        if (x > 0) mine.push_back((x - half) * chain);
        for (; half >= 1; half /= 2)
            if (x + half < nodes) {
                mine.push_back((x + half) * chain);
                break;
            }
    }
    return out;
}

}  // namespace

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
        add_tree(*tree, cell, p, out);
    }
    return out;
}

void NaiveExpander::add_tree(const Tree& t, const std::vector<std::uint32_t>& cell, long position,
                             std::vector<NaiveOp>& out) const {
    const long m = static_cast<long>(cell.size());
    const std::vector<std::vector<long>> below = children_of(t, m);
    const long v = mod(position - t.root, m);
    long above = -1;
    for (long w = 0; w < m; ++w)
        for (const long x : below[static_cast<std::size_t>(w)])
            if (x == v) above = w;
    for (std::uint32_t i = 0; i < t.chunk_count; ++i) {
        const auto list = units(t.chunks, cell, i);
        const auto add = [&](long w, bool send) {
            out.push_back({0, send ? i + 1 : i, cell[mod(w + t.root, m)], send, list, {}, {}});
        };
        if (above >= 0) add(above, t.up);
        for (const long w : below[static_cast<std::size_t>(v)]) add(w, !t.up);
    }
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
