// The distribution of step times over seeds.
#include "simulator/execute/seeds.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

/// Compute, then an all-reduce of all; three times.
Workload steps(std::uint32_t world) {
    Workload w;
    w.name = "steps";
    w.world = world;
    w.families = {{"DP", {world, 1, {}, {}}}};
    w.program_of.assign(world, 0);
    w.programs = {{"all", {"layer"}, {}}};
    for (std::uint32_t i = 0; i < 6; ++i) {
        Op op;
        if (i % 2 == 0) op.what = ComputeOp{us(500)};
        if (i % 2 == 1) op.what = CollectiveOp{Collective::kAllReduce, 0, Bytes{1 << 20}};
        if (i > 0) op.after = {i - 1};
        w.programs[0].ops.push_back(op);
    }
    return w;
}

bool same(const SeedRun& a, const SeedRun& b) {
    return a.seed == b.seed && a.step_time == b.step_time && a.slowest_rank == b.slowest_rank &&
           a.compute == b.compute && a.typical.rank == b.typical.rank &&
           a.typical.waiting == b.typical.waiting &&
           a.typical.transferring == b.typical.transferring;
}

TEST_CASE("100 seeds of stragglers: the split of every run adds up, whatever the threads",
          "[property]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = steps(8);
    Scenario s;
    s.fabric = &f;
    s.workload = &w;
    s.placement = packed_placement(f, 8);
    s.jitter = parse_jitter("noise=1%,stragglers=3%:20%");
    const std::vector<SeedRun> one = simulate_seeds(s, 100, 1);
    const std::vector<SeedRun> three = simulate_seeds(s, 100, 3);
    REQUIRE(one.size() == 100);
    REQUIRE(three.size() == 100);
    for (std::size_t i = 0; i < 100; ++i) {
        CHECK(one[i].seed == i + 1);
        CHECK(same(one[i], three[i]));
        CHECK(one[i].typical.waiting + one[i].typical.transferring ==
              one[i].typical.in_collectives);
    }
    const SimDuration p50 = percentile(one, 50).step_time;
    const SimDuration p99 = percentile(one, 99).step_time;
    CHECK(p50 > 3 * us(500));
    // A straggler adds 20 % to 1.5 ms; 22 runs of 100 have one (1 - 0.97^8).
    CHECK(p99 > p50 + us(200));
    CHECK(percentile(one, 50).typical.waiting < percentile(one, 99).typical.waiting);
    s.seed = percentile(one, 99).seed;
    CHECK(simulate(s).step_time == p99);
}

TEST_CASE("a percentile is the run of the nearest rank", "[unit]") {
    std::vector<SeedRun> runs;
    for (std::uint64_t i = 0; i < 10; ++i)
        runs.push_back({.seed = i, .step_time = us(10 - static_cast<std::int64_t>(i))});
    CHECK(percentile(runs, 0).step_time == us(1));
    CHECK(percentile(runs, 50).step_time == us(5));
    CHECK(percentile(runs, 51).step_time == us(6));
    CHECK(percentile(runs, 90).step_time == us(9));
    CHECK(percentile(runs, 99).step_time == us(10));
    CHECK(percentile(runs, 100).seed == 0);
    runs = {{.seed = 7, .step_time = us(1)}, {.seed = 3, .step_time = us(1)}};
    CHECK(percentile(runs, 50).seed == 3);
}

TEST_CASE("the fault of the first seed that fails is told", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = steps(8);
    Scenario s;
    s.fabric = &f;
    s.workload = &w;
    s.placement = packed_placement(f, 8);
    s.library.name = "unknown";
    CHECK_THROWS_AS(simulate_seeds(s, 4, 2), ConfigError);
}

}  // namespace
}  // namespace weft
