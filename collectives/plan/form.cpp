#include "collectives/plan/form.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weft {

namespace {

constexpr std::uint32_t kMostChannels = 64;
constexpr std::uint32_t kMostStages = 16;
constexpr std::uint32_t kMostSlots = 1024;
constexpr std::uint32_t kMostNumber = 1U << 20;  // of anything else

struct Fault {
    std::string text;
};

template <class... Args>
void demand(bool ok, fmt::format_string<Args...> f, Args&&... args) {
    if (!ok) throw Fault{fmt::format(f, std::forward<Args>(args)...)};
}

void check_table(const Partition& c, std::uint32_t n) {
    demand(c.order.size() == n && c.where.size() == n, "order has {} ranks, the plan {}",
           c.order.size(), n);
    for (std::uint32_t i = 0; i < n; ++i) {
        demand(c.order[i] < n, "order names rank {} of {}", c.order[i], n);
        demand(c.where[c.order[i]] == i, "order names rank {} twice", c.order[i]);
    }
}

void check_cells(const Partition& c, std::uint32_t n) {
    demand(c.size >= 1 && c.stride >= 1 && c.size <= n && c.stride <= n,
           "cells of size {} and stride {}, 1 to {} expected", c.size, c.stride, n);
    const std::uint32_t whole = c.size * (c.order.empty() ? c.stride : 1);
    demand(n % whole == 0, "cells of size {} and stride {} do not divide {} ranks", c.size,
           c.stride, n);
    if (!c.order.empty() || !c.where.empty()) check_table(c, n);
}

/// An outer partition only gives positions: it need not divide the ranks.
void check_chunks(const ChunkMap& m, const Partition& cells, std::uint32_t indices,
                  std::uint32_t n) {
    demand(m.outer.size >= 1 && m.outer.stride >= 1, "an outer partition of size {}, stride {}",
           m.outer.size, m.outer.stride);
    if (!m.outer.order.empty() || !m.outer.where.empty()) {
        check_table(m.outer, n);
        demand(n % m.outer.size == 0, "an outer partition of {} does not divide {} ranks",
               m.outer.size, n);
    }
    demand(!m.by_rank || indices <= cells.size, "{} chunks by rank in cells of {}", indices,
           cells.size);
    for (const std::uint32_t v : {m.span, m.stride, m.index_step, m.outer_span})
        demand(v <= kMostNumber, "{} in a chunk map, at most {} expected", v, kMostNumber);
}

void check_list(const std::vector<Transfer>& list, std::uint32_t rank, std::uint32_t n) {
    constexpr std::size_t kMostListed = 4096;
    demand(list.size() <= kMostListed, "rank {} lists {} transfers, at most {} expected", rank,
           list.size(), kMostListed);
    for (std::size_t i = 0; i < list.size(); ++i) {
        demand(list[i].peer < n && list[i].peer != rank, "rank {} lists peer {} of {}", rank,
               list[i].peer, n);
        demand(i == 0 || list[i - 1].step <= list[i].step, "rank {} lists step {} after step {}",
               rank, list[i].step, i == 0 ? 0 : list[i - 1].step);
    }
}

struct CheckPattern {
    const Stage& s;
    std::uint32_t n;
    void operator()(const Ring& r) const {
        demand(r.direction == 1 || r.direction == -1, "direction {}, 1 or -1 expected",
               r.direction);
        demand(r.steps <= kMostNumber, "{} steps, at most {} expected", r.steps, kMostNumber);
        check_chunks(r.chunks, s.cells, s.cells.size, n);
    }
    void operator()(const Direct& d) const {
        check_chunks(d.send_chunks, s.cells, s.cells.size, n);
        check_chunks(d.recv_chunks, s.cells, s.cells.size, n);
    }
    void operator()(const Tree& t) const {
        demand(t.root < s.cells.size, "root {} in cells of {}", t.root, s.cells.size);
        demand(t.radix >= 1 && t.radix <= kMostPlanRanks, "radix {}", t.radix);
        demand(t.chain >= 1 && s.cells.size % t.chain == 0, "chains of {} in cells of {}", t.chain,
               s.cells.size);
        demand(t.chunk_count <= kMostNumber, "{} chunks, at most {} expected", t.chunk_count,
               kMostNumber);
        check_chunks(t.chunks, s.cells, t.chunk_count, n);
    }
    void operator()(const Explicit& e) const {
        demand(e.sends.size() == n && e.recvs.size() == n, "lists of {} and {} ranks, {} expected",
               e.sends.size(), e.recvs.size(), n);
        for (std::uint32_t r = 0; r < n; ++r) {
            check_list(e.sends[r], r, n);
            check_list(e.recvs[r], r, n);
        }
    }
};

void check_units(const UnitSet& u, std::uint32_t units) {
    demand(u.count <= units, "a transfer of {} units of {}", u.count, units);
    if (u.count == 0) return;
    const std::uint64_t last = u.first + std::uint64_t{u.count - 1} * u.stride;
    demand(last < units, "a transfer of unit {} of {}", last, units);
    demand(u.stride >= 1 || u.count == 1, "a transfer of one unit {} times", u.count);
}

/// Now its transfers can be asked for; `left`: how many there may still be.
void check_transfers(const PlanTemplate& p, std::size_t c, std::size_t s, std::uint64_t& left) {
    const std::uint32_t units = p.channels[c].units;
    for (std::uint32_t r = 0; r < p.n; ++r) {
        const std::uint32_t sends = send_count(p, c, s, r);
        const std::uint32_t recvs = recv_count(p, c, s, r);
        const auto pass = [&](std::uint32_t count, auto at) {
            demand(count <= left, "more than {} transfers", kMostPlanTransfers);
            left -= count;
            for (std::uint32_t i = 0; i < count; ++i) {
                const Transfer t = at(p, c, s, r, i);
                demand(t.peer < p.n, "rank {} has peer {} of {}", r, t.peer, p.n);
                check_units(t.units, units);
                // The checker looks at each unit of each.
                const std::uint64_t work = t.units.count / 16;
                demand(work <= left, "transfers of more units than can be checked");
                left -= work;
            }
        };
        pass(sends, send_at);
        pass(recvs, recv_at);
    }
}

void check_channel(const PlanTemplate& p, std::size_t c, std::uint64_t& left) {
    const Channel& channel = p.channels[c];
    demand(channel.weight >= 1 && channel.weight <= kMostNumber, "weight {}", channel.weight);
    demand(channel.rail >= -1 && channel.plane >= -1, "rail {}, plane {}", channel.rail,
           channel.plane);
    demand(channel.units >= 1 && std::uint64_t{channel.units} * p.n <= kMostPlanUnits,
           "{} units over {} ranks, at most {} in all expected", channel.units, p.n,
           kMostPlanUnits);
    demand(!p.blocked() || channel.units == p.n, "{} units, blocked data of {} ranks has {}",
           channel.units, p.n, p.n);
    demand(channel.slots >= 1 && channel.slots <= kMostSlots, "{} slots, 1 to {} expected",
           channel.slots, kMostSlots);
    demand(channel.slice.count() >= 1 && channel.slice.count() <= (std::int64_t{1} << 40),
           "slices of {} bytes", channel.slice.count());
    demand(channel.loop_slices <= kMostNumber && channel.min_loops >= 1 &&
               channel.min_loops <= kMostNumber,
           "loops of {} slices, at least {} loops", channel.loop_slices, channel.min_loops);
    demand(channel.stages.size() <= kMostStages, "{} stages, at most {} expected",
           channel.stages.size(), kMostStages);
    for (std::size_t s = 0; s < channel.stages.size(); ++s) try {
            const Stage& stage = channel.stages[s];
            check_cells(stage.cells, p.n);
            std::visit(CheckPattern{stage, p.n}, stage.pattern);
            demand(!stage.in_network || std::holds_alternative<Direct>(stage.pattern),
                   "in_network, but not direct");
            check_transfers(p, c, s, left);
        } catch (const Fault& f) {
            throw Fault{fmt::format("stage {}: {}", s, f.text)};
        }
}

}  // namespace

std::string fault_of_form(const PlanTemplate& p) try {
    demand(p.n >= 1 && p.n <= kMostPlanRanks, "{} ranks, 1 to {} expected", p.n, kMostPlanRanks);
    demand(p.root < p.n, "root {} of {} ranks", p.root, p.n);
    demand(!p.channels.empty() && p.channels.size() <= kMostChannels,
           "{} channels, 1 to {} expected", p.channels.size(), kMostChannels);
    std::uint64_t left = kMostPlanTransfers;
    for (std::size_t c = 0; c < p.channels.size(); ++c) try {
            check_channel(p, c, left);
        } catch (const Fault& f) {
            throw Fault{fmt::format("channel {}: {}", c, f.text)};
        }
    return {};
} catch (const Fault& f) {
    return f.text;
}

}  // namespace weft
