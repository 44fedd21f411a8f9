// Mutants of every shipped Plan, expanded: the checker must reject each and name rank and step. A
// mutant is excused only if running it on data under 100 random schedules gives what the
// collective's definition says; the excused are counted per kind.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>

#include "base/rng.hpp"
#include "collectives/plan/checker.hpp"
#include "tests/property/plan_shapes.hpp"
#include "tests/support/plan_cluster.hpp"

using namespace weft;
using weft::testing::Cluster;

namespace {

using Lists = std::vector<std::vector<Transfer>>;

/// A random place in the expanded Plan that has the transfers a mutation needs.
struct Spot {
    Channel* channel = nullptr;
    Stage* stage = nullptr;
    Explicit* e = nullptr;
    std::uint32_t rank = 0;
    std::vector<Transfer>* sends = nullptr;
    std::vector<Transfer>* recvs = nullptr;
};

Spot pick(PlanTemplate& p, RandomStream& random, bool send, std::size_t least) {
    Spot s;
    for (int attempt = 0; attempt < 200; ++attempt) {
        s.channel = &p.channels[random.below(p.channels.size())];
        if (s.channel->stages.empty()) continue;
        s.stage = &s.channel->stages[random.below(s.channel->stages.size())];
        s.e = &std::get<Explicit>(s.stage->pattern);
        s.rank = static_cast<std::uint32_t>(random.below(p.n));
        s.sends = &s.e->sends[s.rank];
        s.recvs = &s.e->recvs[s.rank];
        if ((send ? s.sends : s.recvs)->size() >= least) return s;
    }
    s.e = nullptr;
    return s;
}

template <class List>
std::ptrdiff_t any(const List& list, RandomStream& random) {
    return static_cast<std::ptrdiff_t>(random.below(list.size()));
}

/// The receive that a send meets.
Transfer* partner(Explicit& e, std::uint32_t rank, const Transfer& send) {
    for (Transfer& t : e.recvs[send.peer])
        if (t.peer == rank && t.ordinal == send.ordinal) return &t;
    return nullptr;
}

/// Whether some rank sends in this stage what a transfer of this stage or an earlier one brought
/// it.
bool forwards(const Spot& s) {
    const Stage* first = s.channel->stages.data();
    for (std::size_t r = 0; r < s.e->sends.size(); ++r)
        for (const Stage* stage = first; stage <= s.stage; ++stage)
            for (const Transfer& in : std::get<Explicit>(stage->pattern).recvs[r])
                for (const Transfer& out : s.e->sends[r])
                    if (out.units == in.units && (stage < s.stage || in.step < out.step))
                        return true;
    return false;
}

bool has_transfers(const Stage& stage) {
    for (const auto& list : std::get<Explicit>(stage.pattern).sends)
        if (!list.empty()) return true;
    return false;
}

using Mutation = std::function<bool(PlanTemplate&, RandomStream&)>;
struct Kind {
    const char* name;
    Mutation mutate;
};

/// A mutation of one spot: body returns whether it applied.
template <class Body>
Mutation at_send(std::size_t least, Body body) {
    return [=](PlanTemplate& p, RandomStream& random) {
        Spot s = pick(p, random, true, least);
        return s.e != nullptr && body(p, s, random);
    };
}
template <class Body>
Mutation at_recv(std::size_t least, Body body) {
    return [=](PlanTemplate& p, RandomStream& random) {
        Spot s = pick(p, random, false, least);
        return s.e != nullptr && body(p, s, random);
    };
}

bool swap_units(std::vector<Transfer>& list, RandomStream& random) {
    Transfer& a = list[any(list, random)];
    Transfer& b = list[any(list, random)];
    std::swap(a.units, b.units);
    return true;
}

bool drop_pair(PlanTemplate&, Spot& s, RandomStream& random) {
    const auto i = any(*s.sends, random);
    const Transfer t = (*s.sends)[i];
    auto& there = s.e->recvs[t.peer];
    there.erase(there.begin() + (partner(*s.e, s.rank, t) - there.data()));
    s.sends->erase(s.sends->begin() + i);
    return true;
}

bool redirect(PlanTemplate& p, Spot& s, RandomStream& random) {
    Transfer& t = (*s.sends)[any(*s.sends, random)];
    const auto to = static_cast<std::uint32_t>(random.below(p.n));
    if (to == s.rank || to == t.peer) return false;
    auto& there = s.e->recvs[t.peer];
    Transfer* met = partner(*s.e, s.rank, t);
    const Transfer moved = *met;
    there.erase(there.begin() + (met - there.data()));
    auto& list = s.e->recvs[to];
    std::size_t at = 0;
    while (at < list.size() && list[at].step <= moved.step) ++at;
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), moved);
    t.peer = to;
    return true;
}

bool twice(PlanTemplate&, Spot& s, RandomStream& random) {
    if (s.stage->arrival != Arrival::kReduce) return false;
    const auto i = any(*s.sends, random);
    const Transfer t = (*s.sends)[i];
    auto& there = s.e->recvs[t.peer];
    const auto at = partner(*s.e, s.rank, t) - there.data();
    const Transfer met = there[at];
    there.insert(there.begin() + at, met);
    s.sends->insert(s.sends->begin() + i, t);
    return true;
}

bool every_rank_waits(PlanTemplate&, Spot& s, RandomStream&) {
    // Each rank's first send now waits for what the same step brings in.
    for (std::size_t r = 0; r < s.e->sends.size(); ++r) {
        if (s.e->sends[r].empty() || s.e->recvs[r].empty()) return false;
        for (Transfer& t : s.e->sends[r]) t.step += 1;
        s.e->sends[r][0].units = s.e->recvs[r][0].units;
    }
    return true;
}

bool one_step_less(PlanTemplate&, Spot& s, RandomStream&) {
    for (Lists* lists : {&s.e->sends, &s.e->recvs})
        for (auto& list : *lists)
            if (!list.empty()) list.pop_back();
    return true;
}

bool one_step_more(PlanTemplate&, Spot& s, RandomStream&) {
    if (s.stage->arrival != Arrival::kReduce) return false;
    for (Lists* lists : {&s.e->sends, &s.e->recvs})
        for (auto& list : *lists)
            if (!list.empty()) list.push_back(list.front()), list.back().step = 1U << 20;
    return true;
}

bool reorder_reduction(PlanTemplate& p, RandomStream& random) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        const Spot s = pick(p, random, false, 2);
        if (s.e == nullptr || s.stage->arrival != Arrival::kReduce) continue;
        Transfer& a = (*s.recvs)[any(*s.recvs, random)];
        Transfer& b = (*s.recvs)[any(*s.recvs, random)];
        if (a.peer == b.peer) continue;
        std::swap(a, b);
        std::swap(a.step, b.step);
        return true;
    }
    return false;
}

bool reverse_rank(PlanTemplate&, Spot& s, RandomStream&) {
    if (s.sends->empty() || s.recvs->empty()) return false;
    if ((*s.sends)[0].peer == (*s.recvs)[0].peer) return false;
    const std::uint32_t to = (*s.sends)[0].peer;
    const std::uint32_t from = (*s.recvs)[0].peer;
    for (Transfer& t : *s.sends) t.peer = from;
    for (Transfer& t : *s.recvs) t.peer = to;
    return true;
}

/// A send of what this stage has brought in goes first, before that has come.
bool stale_source(PlanTemplate&, Spot& s, RandomStream& random) {
    const auto i = any(*s.sends, random);
    Transfer t = (*s.sends)[i];
    bool brought = false;
    for (const Transfer& in : *s.recvs) brought |= in.units == t.units && in.step < t.step;
    if (!brought || s.stage->source != s.stage->destination) return false;
    s.sends->erase(s.sends->begin() + i);
    t.step = 0;
    s.sends->insert(s.sends->begin(), t);
    return true;
}

std::vector<Kind> list_kinds() {
    return {
        {"dropped send", at_send(1,
                                 [](PlanTemplate&, Spot& s, RandomStream& r) {
                                     return s.sends->erase(s.sends->begin() + any(*s.sends, r)),
                                            true;
                                 })},
        {"dropped receive", at_recv(1,
                                    [](PlanTemplate&, Spot& s, RandomStream& r) {
                                        return s.recvs->erase(s.recvs->begin() + any(*s.recvs, r)),
                                               true;
                                    })},
        {"dropped transfer", at_send(1, drop_pair)},
        {"swapped chunks sent",
         at_send(2,
                 [](PlanTemplate&, Spot& s, RandomStream& r) { return swap_units(*s.sends, r); })},
        {"swapped chunks received",
         at_recv(2,
                 [](PlanTemplate&, Spot& s, RandomStream& r) { return swap_units(*s.recvs, r); })},
    };
}

std::vector<Kind> peer_kinds() {
    return {
        {"wrong destination", at_send(1,
                                      [](PlanTemplate& p, Spot& s, RandomStream& r) {
                                          return (*s.sends)[any(*s.sends, r)].peer =
                                                     static_cast<std::uint32_t>(r.below(p.n)),
                                                                          true;
                                      })},
        {"wrong source", at_recv(1,
                                 [](PlanTemplate& p, Spot& s, RandomStream& r) {
                                     return (*s.recvs)[any(*s.recvs, r)].peer =
                                                static_cast<std::uint32_t>(r.below(p.n)),
                                                                     true;
                                 })},
        {"redirected transfer", at_send(1, redirect)},
        {"double reduction", at_send(1, twice)},
        {"duplicated send", at_send(1,
                                    [](PlanTemplate&, Spot& s, RandomStream& r) {
                                        const auto i = any(*s.sends, r);
                                        const Transfer t = (*s.sends)[i];
                                        return s.sends->insert(s.sends->begin() + i, t), true;
                                    })},
        {"copy for reduce or reduce for copy", at_send(1,
                                                       [](PlanTemplate&, Spot& s, RandomStream&) {
                                                           s.stage->arrival =
                                                               s.stage->arrival == Arrival::kCopy
                                                                   ? Arrival::kReduce
                                                                   : Arrival::kCopy;
                                                           return true;
                                                       })},
    };
}

std::vector<Kind> unit_kinds() {
    const auto shift = [](Transfer& t, const Channel& c) {
        t.units.first = (t.units.first + 1) % c.units;
    };
    return {
        {"reads the input instead", at_send(1,
                                            [](PlanTemplate&, Spot& s, RandomStream&) {
                                                if (!forwards(s)) return false;
                                                return s.stage->source = Buffer::kInput, true;
                                            })},
        {"wrong destination buffer", at_send(1,
                                             [](PlanTemplate&, Spot& s, RandomStream&) {
                                                 s.stage->destination =
                                                     s.stage->destination == Buffer::kScratch
                                                         ? Buffer::kOutput
                                                         : Buffer::kInput;
                                                 return true;
                                             })},
        {"shifted units sent", at_send(1,
                                       [=](PlanTemplate&, Spot& s, RandomStream& r) {
                                           return shift((*s.sends)[any(*s.sends, r)], *s.channel),
                                                  true;
                                       })},
        {"shifted units received",
         at_recv(1,
                 [=](PlanTemplate&, Spot& s, RandomStream& r) {
                     return shift((*s.recvs)[any(*s.recvs, r)], *s.channel), true;
                 })},
        {"overlapping ranges", at_recv(2,
                                       [](PlanTemplate&, Spot& s, RandomStream& r) {
                                           (*s.recvs)[any(*s.recvs, r)].units =
                                               (*s.recvs)[any(*s.recvs, r)].units;
                                           return true;
                                       })},
        {"one unit too many", at_send(1,
                                      [](PlanTemplate&, Spot& s, RandomStream& r) {
                                          return ++(*s.sends)[any(*s.sends, r)].units.count, true;
                                      })},
    };
}

std::vector<Kind> stage_kinds() {
    return {
        {"wrong stride", at_send(1,
                                 [](PlanTemplate&, Spot& s, RandomStream& r) {
                                     UnitSet& u = (*s.sends)[any(*s.sends, r)].units;
                                     if (u.count < 2) return false;
                                     return ++u.stride, true;
                                 })},
        {"cycle of waits", at_send(1, every_rank_waits)},
        {"one step less", at_send(1, one_step_less)},
        {"one step more", at_send(1, one_step_more)},
        {"missing stage", at_send(1,
                                  [](PlanTemplate&, Spot& s, RandomStream&) {
                                      return s.channel->stages.erase(
                                                 s.channel->stages.begin() +
                                                 (s.stage - s.channel->stages.data())),
                                             true;
                                  })},
        {"swapped stages", at_send(1,
                                   [](PlanTemplate&, Spot& s, RandomStream& r) {
                                       auto& list = s.channel->stages;
                                       Stage& other = list[any(list, r)];
                                       if (!has_transfers(other)) return false;
                                       return std::swap(*s.stage, other), true;
                                   })},
        {"wrong root",
         [](PlanTemplate& p, RandomStream& r) {
             if (!rooted(p.collective)) return false;
             return p.root = static_cast<std::uint32_t>(r.below(p.n)), true;
         }},
    };
}

std::vector<Kind> plan_kinds() {
    return {
        {"channel without stages",
         at_send(1, [](PlanTemplate&, Spot& s,
                       RandomStream&) { return s.channel->stages.clear(), true; })},
        {"wrong unit count", at_send(1, [](PlanTemplate&, Spot& s,
                                           RandomStream&) { return ++s.channel->units, true; })},
        {"changed order of reduction", reorder_reduction},
        {"reversed direction at a rank", at_send(1, reverse_rank)},
        {"stale source", at_send(2, stale_source)},
        {"two ranks exchanged", at_send(1,
                                        [](PlanTemplate& p, Spot& s, RandomStream& r) {
                                            const auto other = r.below(p.n);
                                            std::swap(s.e->sends[s.rank], s.e->sends[other]);
                                            std::swap(s.e->recvs[s.rank], s.e->recvs[other]);
                                            return true;
                                        })},
    };
}

std::vector<Kind> kinds() {
    std::vector<Kind> all;
    for (const auto part : {list_kinds, peer_kinds, unit_kinds, stage_kinds, plan_kinds})
        for (Kind& kind : part()) all.push_back(std::move(kind));
    return all;
}

/// Brute force: right on data under 100 random schedules.
bool right_on_data(const PlanTemplate& p) {
    const Binding b{p.blocked() ? 5U : 3U * p.channels[0].units + 1, 8, false};
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Cluster cluster(p, b, seed);
        if (!cluster.run() || first_wrong(cluster, p, b) != p.n) return false;
    }
    return true;
}

struct Tally {
    int made = 0, rejected = 0, excused = 0;
};

/// One mutant of `original`; the checker's verdict and, if it passes, the data's.
void try_one(const Kind& kind, const PlanTemplate& original, const CheckReport& reference,
             RandomStream& random, Tally& tally) {
    PlanTemplate mutant = original;
    if (!kind.mutate(mutant, random)) return;
    if (mutant.hash() == original.hash()) return;
    for (Channel& c : mutant.channels)
        for (Stage& s : c.stages) std::get<Explicit>(s.pattern).number();
    ++tally.made;
    const CheckReport report = check_plan(mutant, &reference);
    if (report.ok) {
        INFO(kind.name << " of " << original.algorithm << " n " << original.n);
        CHECK(right_on_data(mutant));
        ++tally.excused;
        return;
    }
    ++tally.rejected;
    INFO(kind.name << ": " << report.problem);
    const bool at_load = report.problem.find("blocked data has") != std::string::npos;
    CHECK((at_load || (report.problem.find("rank ") != std::string::npos &&
                       (report.problem.find("step ") != std::string::npos ||
                        report.problem.find("no transfer") != std::string::npos))));
}

}  // namespace

TEST_CASE("every mutant of a Plan is rejected, or right on data", "[property]") {
    std::uint64_t entity = 0;
    std::string table;
    for (const Kind& kind : kinds()) {
        Tally tally;
        RandomStream random(2026, entity++, "mutants");
        for (const std::size_t n : {3u, 4u, 6u, 8u})
            weft::testing::for_each_plan(n, {1, 2}, [&](const PlanTemplate& p, const std::string&) {
                const PlanTemplate original = expand(p);
                const CheckReport reference = check_plan(original);
                REQUIRE(reference.ok);
                for (int i = 0; i < 3; ++i) try_one(kind, original, reference, random, tally);
            });
        table += std::string(kind.name) + ": " + std::to_string(tally.made) + " made, " +
                 std::to_string(tally.rejected) + " rejected, " + std::to_string(tally.excused) +
                 " excused\n";
        INFO(kind.name);
        CHECK(tally.made >= 20);
        CHECK(tally.excused * 20 < tally.made);
    }
    INFO(table);
    CHECK(kinds().size() >= 20);
    if (std::getenv("WEFT_PRINT_MUTANTS") != nullptr) WARN(table);
}
