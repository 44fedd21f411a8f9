// Compute beside communication, worked by hand.
#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

/// On each of `world` ranks a compute op, an all-gather that begins with it, and after both another
/// compute op; rank 0 computes `late` before all of it.
Workload beside(std::uint32_t world, SimDuration compute, Bytes size, SimDuration late) {
    Workload w;
    w.name = "beside";
    w.world = world;
    w.families = {{"DP", {world, 1, {}, {}}}};
    w.program_of.assign(world, 1);
    w.program_of[0] = 0;
    for (std::uint32_t p = 0; p < 2; ++p) {
        std::vector<Op>& ops = w.programs.emplace_back(Program{"p", {"gemm"}, {}}).ops;
        Op op;
        op.what = ComputeOp{p == 0 ? late : SimDuration{}};
        ops.push_back(op);
        op.after = {0};
        op.what = CollectiveOp{Collective::kAllGather, 0, size};
        ops.push_back(op);
        op.what = ComputeOp{compute};
        ops.push_back(op);
        op.after = {1, 2};
        op.what = ComputeOp{us(10)};
        ops.push_back(op);
    }
    return w;
}

Scenario scenario(const Fabric& f, const Workload& w, const char* overlap) {
    Scenario s;
    s.fabric = &f;
    s.workload = &w;
    s.placement = packed_placement(f, w.world);
    s.overlap = parse_overlap(overlap);
    return s;
}

TEST_CASE("a GEMM beside an all-gather that outlasts it goes at 80 / 47 of its time", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = beside(8, us(1000), Bytes{std::int64_t{1} << 31}, {});
    const Result alone = simulate(scenario(f, w, "ideal"));
    const Result r = simulate(scenario(f, w, "sm"));
    // The all-gather takes longer than both: 2 GiB at some 370 GB/s.
    REQUIRE(alone.step_time > us(3000));
    CHECK(r.step_time == alone.step_time);
    CHECK(alone.compute_slowed == SimDuration{});
    // 2 x 0.527 + 0.473 / 0.73 = 1.70194520...
    CHECK(r.compute_slowed == ps(701'945'206));
    CHECK(r.compute == alone.compute + r.compute_slowed);
    CHECK(80.0 * 1000 / (1000 + 701.945) == Approx(47.0).margin(0.1));
}

TEST_CASE("compute that outlasts the all-gather is slow only beside it", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = beside(8, ms(20), Bytes{1 << 28}, {});
    const SimDuration together = simulate(scenario(f, w, "ideal")).families.front().total;
    const Result r = simulate(scenario(f, w, "sm:own=100%,memory=0%"));
    // Two waves for one: beside the all-gather half as fast, so half of it is lost.
    CHECK(r.compute_slowed == SimDuration{together.ps() - together.ps() / 2});
    CHECK(r.step_time == ms(20) + us(10) + r.compute_slowed);
}

TEST_CASE("waiting for a late peer costs SMs, and no memory", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = beside(8, us(100), Bytes{1 << 28}, us(400));
    // Ranks 1 to 7 compute their 100 us while they wait: 1 + own times as long, all of it.
    Scenario s = scenario(f, w, "sm:own=60%,memory=50%");
    const Result r = simulate(s);
    bool found = false;
    for (const Span& span : r.timeline)
        if (span.rank == RankId{1} && span.track == "compute" && span.start == SimTime{}) {
            found = true;
            CHECK(span.end == SimTime{} + us(160));
        }
    CHECK(found);
    s.overlap = parse_overlap("copy-engine:own=60%,memory=50%");
    for (const Span& span : simulate(s).timeline)
        if (span.rank == RankId{1} && span.track == "compute" && span.start == SimTime{})
            CHECK(span.end == SimTime{} + us(100));
}

TEST_CASE("slowed and jittered steps have the same bytes without symmetry", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2");
    const Workload w = beside(32, us(800), Bytes{1 << 26}, us(150));
    for (const char* overlap : {"sm", "copy-engine"})
        for (const char* jitter : {"none", "stragglers=10%:20%", "noise=3%"}) {
            Scenario s = scenario(f, w, overlap);
            s.jitter = parse_jitter(jitter);
            const std::string quotient = to_json(simulate(s));
            s.symmetry = false;
            CHECK(to_json(simulate(s)) == quotient);
        }
}

TEST_CASE("compute slowed beyond what a time holds is named, not wrapped around", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const SimDuration compute = 650'000 * 1000 * ms(1);
    const Workload w = beside(8, compute, Bytes{std::int64_t{1} << 31}, {});
    CHECK(simulate(scenario(f, w, "sm")).step_time > compute);
    // 131 of 132 SMs held: 132 times as slow, 993 days.
    CHECK_THROWS_WITH(simulate(scenario(f, w, "sm:held=132,own=100%")),
                      Catch::Contains("overlap") && Catch::Contains("at worst 90 days"));
}

TEST_CASE("messages slow compute at both ends", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    Workload w = beside(2, us(1000), Bytes{0}, {});
    w.program_of = {0, 1};
    for (std::uint32_t p = 0; p < 2; ++p)
        w.programs[p].ops[1].what =
            P2pOp{p == 0, 0, p == 0 ? +1 : -1, Bytes{std::int64_t{1} << 31}};
    const Result r = simulate(scenario(f, w, "sm"));
    CHECK(r.compute_slowed == ps(701'945'206));
}

}  // namespace
}  // namespace weft
