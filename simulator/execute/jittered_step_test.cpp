// Steps whose ranks compute apart: the same bytes without symmetry, and what waits for whom.
#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

/// Layers of compute and an all-reduce over 4 neighbours; at the end one over strides of 4.
Workload layers(std::uint32_t world, std::uint32_t count, SimDuration compute) {
    Workload w;
    w.name = "layers";
    w.world = world;
    w.families = {{"TP", {4, 1, {}, {}}}, {"DP", {world / 4, 4, {}, {}}}};
    w.program_of.assign(world, 0);
    w.programs = {{"all", {"layer"}, {}}};
    std::vector<Op>& ops = w.programs[0].ops;
    const auto add = [&](std::variant<ComputeOp, CollectiveOp, P2pOp> what) {
        Op op;
        op.what = std::move(what);
        if (!ops.empty()) op.after = {static_cast<std::uint32_t>(ops.size() - 1)};
        ops.push_back(op);
    };
    for (std::uint32_t i = 0; i < count; ++i) {
        add(ComputeOp{compute});
        add(CollectiveOp{Collective::kAllReduce, 0, Bytes{1 << 20}});
    }
    add(CollectiveOp{Collective::kAllReduce, 1, Bytes{1 << 24}});
    return w;
}

Scenario scenario(const Fabric& f, const Workload& w, const char* jitter) {
    Scenario s;
    s.fabric = &f;
    s.workload = &w;
    s.placement = packed_placement(f, w.world);
    s.jitter = parse_jitter(jitter);
    return s;
}

TEST_CASE("a jittered step has the same bytes of result without symmetry", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2");
    const Workload w = layers(32, 4, us(300));
    for (const char* jitter : {"stragglers=10%:20%", "stalls=3%:1ms", "noise=5%",
                               "noise=2%,stragglers=10%:20%,stalls=3%:1ms"}) {
        Scenario s = scenario(f, w, jitter);
        const std::string quotient = to_json(simulate(s));
        s.symmetry = false;
        CHECK(to_json(simulate(s)) == quotient);
    }
}

TEST_CASE("the same seed gives the same jittered step, another seed another", "[property]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = layers(8, 4, us(300));
    Scenario s = scenario(f, w, "noise=5%");
    const std::string first = to_json(simulate(s));
    CHECK(to_json(simulate(s)) == first);
    const SimDuration one = simulate(s).step_time;
    s.seed = 2;
    CHECK(simulate(s).step_time != one);
}

TEST_CASE("waiting and transferring add up to the ps on every jittered rank", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2");
    const Workload w = layers(32, 4, us(300));
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Scenario s = scenario(f, w, "noise=3%,stragglers=5%:30%");
        s.seed = seed;
        const Result r = simulate(s);
        CHECK(r.rank_splits.size() == 32);
        for (const RankSplit& p : r.rank_splits)
            CHECK(p.waiting + p.transferring == p.in_collectives);
        for (const FamilyTime& t : r.families) CHECK(t.waiting + t.transferring == t.total);
        CHECK(r.step_time >= r.lower_bound);
    }
}

/// The first seed under which rank 5 of 8 straggles and no other does.
std::uint64_t seed_of_rank_5(const Jitter& j) {
    for (std::uint64_t seed = 1;; ++seed) {
        bool only = true;
        for (std::uint32_t r = 0; r < 8; ++r)
            only = only && RankJitter(j, seed, r).straggles() == (r == 5);
        if (only) return seed;
    }
}

TEST_CASE("everyone waits for the one straggler, to the ps", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    Workload w = layers(8, 1, us(300));
    Scenario s = scenario(f, w, "none");
    const SimDuration even = simulate(s).step_time;
    s.jitter = parse_jitter("stragglers=12.5%:10%");
    s.seed = seed_of_rank_5(s.jitter);
    const Result r = simulate(s);
    // 300 us slower by a tenth: TP of ranks 4 to 7 begins 30 us late, and DP waits for it.
    CHECK(r.step_time == even + us(30));
    CHECK(r.slowest_rank == RankId{0});
    REQUIRE(r.rank_splits.size() == 2);
    CHECK(r.rank_splits[0].rank == RankId{5});
    CHECK(r.rank_splits[0].waiting == SimDuration{});
    // Its neighbours wait in TP, the others for them in DP.
    CHECK(r.rank_splits[1].alike == 7);
    CHECK(r.rank_splits[1].waiting == us(30));
    CHECK(r.typical_rank.waiting == us(30));
    CHECK(r.compute == us(300));
}

TEST_CASE("few kinds of stragglers stay few classes: 512 ranks take no time", "[unit]") {
    const Fabric f = make_fabric("hpn7");
    const Workload w = layers(512, 2, us(300));
    const Result r = simulate(scenario(f, w, "stragglers=0.5%:15%"));
    CHECK(r.rank_splits.size() > 1);
    CHECK(r.rank_splits.size() < 20);
}

TEST_CASE("jitter that could leave the clock is refused", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = layers(8, 20, 86'400'000 * ms(1));
    CHECK_THROWS_AS(simulate(scenario(f, w, "noise=1%,stragglers=1%:1000%")), ConfigError);
}

}  // namespace
}  // namespace weft
