#include "traces/workload.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>

#include "base/result.hpp"
#include "base/rng.hpp"

namespace weft {
namespace {

constexpr std::uint32_t kMaxRanks = 1U << 20;
constexpr std::int64_t kMaxProgramPs = std::int64_t{30} * 86'400 * 1'000'000'000'000;  // 30 days
constexpr std::int64_t kMaxOpBytes = std::int64_t{1} << 50;                            // 1 PiB

[[noreturn]] void reject(const std::string& key, const std::string& found,
                         const std::string& expected) {
    throw ConfigError(
        {.file = {}, .line = 0, .key = key, .found = found, .expected = expected, .example = {}});
}

std::string place(const Workload& w, std::uint32_t program, std::size_t op) {
    const Program& p = w.programs[program];
    const std::uint32_t label = p.ops[op].label;
    return fmt::format("program {}, op {}{}", printable(p.name), op,
                       label < p.labels.size() ? " (" + printable(p.labels[label]) + ")" : "");
}

void check_world(const Workload& w) {
    if (w.world == 0 || w.world > kMaxRanks)
        reject("world", fmt::format("{} ranks", w.world), fmt::format("1 to {}", kMaxRanks));
    if (w.program_of.size() != w.world)
        reject("world", fmt::format("programs for {} ranks", w.program_of.size()),
               fmt::format("one for each of the {} ranks", w.world));
    for (std::size_t r = 0; r < w.world; ++r)
        if (w.program_of[r] >= w.programs.size())
            reject("stages", fmt::format("no program for rank {}", r), "one program for each rank");
}

void check_table(const GroupFamily& f, std::uint32_t world) {
    const Partition& g = f.groups;
    if (g.order.size() != world || g.where.size() != world)
        reject("groups." + printable(f.name), fmt::format("a table of {} ranks", g.order.size()),
               fmt::format("each of the {} ranks once", world));
    for (std::uint32_t r = 0; r < world; ++r)
        if (g.where[r] >= world || g.order[g.where[r]] != r)
            reject("groups." + printable(f.name), fmt::format("rank {} not exactly once", r),
                   fmt::format("each of the {} ranks once", world));
}

void check_families(const Workload& w) {
    std::set<std::string> names;
    for (const GroupFamily& f : w.families) {
        const std::string key = "groups." + printable(f.name);
        const Partition& g = f.groups;
        if (f.name.empty() || !names.insert(f.name).second)
            reject(key, "the name again or no name", "a name of its own for each family");
        if (g.size == 0 || g.stride == 0)
            reject(key, fmt::format("size {}, stride {}", g.size, g.stride), "both at least 1");
        const std::uint64_t block =
            g.order.empty() ? std::uint64_t{g.size} * g.stride : std::uint64_t{g.size};
        if (block > w.world)
            reject(key, fmt::format("groups of {} ranks, stride {}", g.size, g.stride),
                   fmt::format("size x stride at most the world of {} ranks", w.world));
        if (w.world % block != 0)
            reject(key, fmt::format("groups of {} ranks, stride {}", g.size, g.stride),
                   fmt::format("size x stride a divisor of the world of {} ranks", w.world));
        if (!g.order.empty() || !g.where.empty()) check_table(f, w.world);
    }
}

void check_op(const Workload& w, std::uint32_t program, std::size_t i) {
    const Op& op = w.programs[program].ops[i];
    const auto fault = [&](const std::string& found, const std::string& expected) {
        reject(place(w, program, i), found, expected);
    };
    if (op.label >= w.programs[program].labels.size())
        fault(fmt::format("label {}", op.label), "a label of the program");
    for (const std::uint32_t before : op.after)
        if (before >= i) fault(fmt::format("after op {}", before), "only earlier ops");
    if (op.measured < SimDuration{0} || op.measured.ps() > kMaxProgramPs)
        fault("measured " + to_string(op.measured), "a time from 0 to 30 days");
    std::uint32_t family = 0;
    Bytes size;
    if (const auto* compute = std::get_if<ComputeOp>(&op.what)) {
        if (compute->time < SimDuration{0} || compute->time.ps() > kMaxProgramPs)
            fault(to_string(compute->time), "a time from 0 to 30 days");
        if (op.measured > SimDuration{0})
            fault("a measured time of a compute op", "its own time to be the measured one");
        return;
    }
    if (const auto* c = std::get_if<CollectiveOp>(&op.what)) {
        family = c->family;
        size = c->size;
    } else {
        const auto& p = std::get<P2pOp>(op.what);
        family = p.family;
        size = p.size;
        if (p.offset == 0) fault("a message to itself", "an offset that is not 0");
    }
    if (family >= w.families.size()) fault(fmt::format("family {}", family), "a known family");
    if (size < Bytes{0} || size.count() > kMaxOpBytes)
        fault(to_string(size), "a size from 0 to 1 PiB");
}

void check_programs(const Workload& w) {
    for (std::uint32_t p = 0; p < w.programs.size(); ++p) {
        std::int64_t total = 0;
        for (std::size_t i = 0; i < w.programs[p].ops.size(); ++i) {
            check_op(w, p, i);
            if (const auto* c = std::get_if<ComputeOp>(&w.programs[p].ops[i].what))
                total += c->time.ps();
            if (total > kMaxProgramPs)
                reject(place(w, p, i), "more than 30 days of compute in one step",
                       "at most 30 days");
        }
    }
}

void check_measured(const Workload& w) {
    const Measured& m = w.measured;
    const auto check = [](const std::string& key, const std::optional<SimDuration>& time) {
        if (time && (*time < SimDuration{0} || time->ps() > kMaxProgramPs))
            reject("measured " + key, to_string(*time), "a time from 0 to 30 days");
    };
    if (m.step == SimDuration{0}) reject("measured step", "0", "a time above 0");
    check("step", m.step);
    check("compute", m.compute);
    check("bubble", m.bubble);
    for (const MeasuredFamily& f : m.families) {
        const auto known = [&](const GroupFamily& g) { return g.name == f.family; };
        if (std::none_of(w.families.begin(), w.families.end(), known))
            reject("measured families", printable(f.family), "a family of the workload");
        check("total of " + printable(f.family), f.total);
        check("exposed of " + printable(f.family), f.exposed);
    }
}

/// What one program asks of one queue: the collectives of a family, or its sends or receives over
/// one offset.
struct Demand {
    std::uint64_t hash = 0;
    std::vector<std::uint32_t> ops;
    void add(std::uint32_t op, std::uint64_t what) {
        ops.push_back(op);
        hash = mix64(hash, what);
    }
    [[nodiscard]] bool same(const Demand& o) const {
        return hash == o.hash && ops.size() == o.ops.size();
    }
};

struct Demands {
    std::vector<Demand> collectives;                                 // by family
    std::map<std::pair<std::uint32_t, std::int32_t>, Demand> sends;  // by (family, offset)
    std::map<std::pair<std::uint32_t, std::int32_t>, Demand> receives;
};

Demands demands_of(const Workload& w, const Program& p) {
    Demands d;
    d.collectives.resize(w.families.size());
    for (std::uint32_t i = 0; i < p.ops.size(); ++i) {
        if (const auto* c = std::get_if<CollectiveOp>(&p.ops[i].what))
            d.collectives[c->family].add(i, mix64(static_cast<std::uint64_t>(c->kind),
                                                  static_cast<std::uint64_t>(c->size.count())));
        if (const auto* m = std::get_if<P2pOp>(&p.ops[i].what))
            (m->send ? d.sends : d.receives)[{m->family, m->offset}].add(
                i, static_cast<std::uint64_t>(m->size.count()));
    }
    return d;
}

/// Names the first op in which two demands differ.
[[noreturn]] void reject_difference(const Workload& w, std::uint32_t rank_a, const Demand& a,
                                    std::uint32_t rank_b, const Demand& b,
                                    const std::string& expected) {
    const Program& pa = w.programs[w.program_of[rank_a]];
    const Program& pb = w.programs[w.program_of[rank_b]];
    const auto text = [&](const Program& p, const Demand& d, std::size_t i) {
        return i < d.ops.size() ? describe(w, p.ops[d.ops[i]]) : std::string("nothing more");
    };
    std::size_t i = 0;
    const auto size_at = [&](const Program& p, const Demand& d, std::size_t k) {
        const Op& op = p.ops[d.ops[k]];
        if (const auto* c = std::get_if<CollectiveOp>(&op.what))
            return std::pair{static_cast<int>(c->kind), c->size};
        return std::pair{-1, std::get<P2pOp>(op.what).size};
    };
    while (i < a.ops.size() && i < b.ops.size() && size_at(pa, a, i) == size_at(pb, b, i)) ++i;
    reject(fmt::format("rank {} ({}) and rank {} ({}), number {} of their calls", rank_a,
                       printable(pa.name), rank_b, printable(pb.name), i + 1),
           text(pa, a, i) + " against " + text(pb, b, i), expected);
}

void check_collectives_agree(const Workload& w, const std::vector<Demands>& demands) {
    for (std::size_t f = 0; f < w.families.size(); ++f) {
        const Partition& groups = w.families[f].groups;
        const std::uint32_t cells = w.world / groups.size;
        for (std::uint32_t cell = 0; cell < cells; ++cell) {
            const std::uint32_t first = groups.rank_at(cell, 0);
            const Demand& wanted = demands[w.program_of[first]].collectives[f];
            for (std::uint32_t p = 1; p < groups.size; ++p) {
                const std::uint32_t rank = groups.rank_at(cell, p);
                const Demand& own = demands[w.program_of[rank]].collectives[f];
                if (!own.same(wanted))
                    reject_difference(w, first, wanted, rank, own,
                                      "the same collectives in the same order on all members of a "
                                      "group");
            }
        }
    }
}

/// Every message of `mine` (sends or receives of `rank`) has its counterpart at the peer.
void check_messages(const Workload& w, const std::vector<Demands>& demands, std::uint32_t rank,
                    bool sends) {
    static const Demand kNothing;
    const Demands& own = demands[w.program_of[rank]];
    for (const auto& [key, mine] : sends ? own.sends : own.receives) {
        const Partition& groups = w.families[key.first].groups;
        const std::int64_t position = std::int64_t{groups.position(rank)} + key.second;
        if (position < 0 || position >= groups.size)
            reject(place(w, w.program_of[rank], mine.ops.front()),
                   fmt::format("rank {} is member {} of {} and its peer would be member {}", rank,
                               groups.position(rank), groups.size, position),
                   "a peer inside the group (a chain, not a ring)");
        const std::uint32_t peer =
            groups.rank_at(groups.cell(rank), static_cast<std::uint32_t>(position));
        const Demands& others = demands[w.program_of[peer]];
        const auto& theirs = sends ? others.receives : others.sends;
        const auto found = theirs.find({key.first, -key.second});
        const Demand& other = found == theirs.end() ? kNothing : found->second;
        if (!other.same(mine))
            reject_difference(w, rank, mine, peer, other,
                              "as many receives as sends between two ranks, of equal sizes in "
                              "equal order");
    }
}

}  // namespace

std::string describe(const Workload& w, const Op& op) {
    if (const auto* c = std::get_if<CollectiveOp>(&op.what)) {
        static constexpr std::array<const char*, kCollectives.size()> kNames{
            "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "broadcast",
            "send/recv",  "reduce",     "gather",         "scatter"};
        return fmt::format("{} of {} over {}", kNames[static_cast<std::size_t>(c->kind)],
                           to_string(c->size), printable(w.families[c->family].name));
    }
    const auto& p = std::get<P2pOp>(op.what);
    return fmt::format("{} of {} over {} {:+d}", p.send ? "send" : "receive", to_string(p.size),
                       printable(w.families[p.family].name), p.offset);
}

void validate(const Workload& w) {
    check_world(w);
    check_families(w);
    check_programs(w);
    check_measured(w);
    std::vector<Demands> demands;
    for (const Program& p : w.programs) demands.push_back(demands_of(w, p));
    check_collectives_agree(w, demands);
    for (std::uint32_t r = 0; r < w.world; ++r) {
        check_messages(w, demands, r, true);
        check_messages(w, demands, r, false);
    }
}

}  // namespace weft
