// What counts as reproduced, and which part is named when nothing is.
#include "simulator/trust/trust.hpp"

#include <catch2/catch.hpp>

#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

constexpr std::int64_t kTenPercent = 100'000;

/// One rank's step: 60 ms of compute, then TP (10 ms a time, twice) and DP (20 ms), all exposed.
Workload job() {
    Workload w;
    w.world = 4;
    w.program_of.assign(4, 0);
    w.families = {{"TP", {2, 1, {}, {}}}, {"DP", {2, 2, {}, {}}}};
    const CollectiveOp tp{Collective::kAllReduce, 0, Bytes{1 << 20}};
    const CollectiveOp dp{Collective::kReduceScatter, 1, Bytes{1 << 24}};
    w.programs = {{"all", {"op"}, {{ComputeOp{ms(60)}}, {tp, {0}}, {tp, {1}}, {dp, {2}}}}};
    return w;
}
Result result() {
    Result r;
    r.slowest_rank = RankId{0};
    r.step_time = ms(100);
    r.compute = ms(60);
    r.families = {{"TP", ms(20), ms(20), {}}, {"DP", ms(20), ms(20), {}}};
    CollectiveSummary c;
    c.count = 1;
    c.family = "TP";
    c.kind = "allreduce";
    c.size = Bytes{1 << 20};
    c.mean_time = ms(10);
    r.collectives.push_back(c);
    c.family = "DP";
    c.kind = "reducescatter";
    c.size = Bytes{1 << 24};
    c.mean_time = ms(20);
    r.collectives.push_back(c);
    return r;
}
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}
using Verdict = Trust::Verdict;

}  // namespace

TEST_CASE("without measured times nothing is claimed", "[unit]") {
    const Trust t = compare(job(), result(), kTenPercent);
    CHECK(t.verdict == Verdict::kNothingMeasured);
    CHECK(trust_line(t).empty());
}

TEST_CASE("a step and parts within the limit are reproduced, the errors are said", "[unit]") {
    Workload w = job();
    w.measured.step = ms(98);
    w.programs[0].ops[1].measured = ms(9);
    w.programs[0].ops[2].measured = ms(9);
    w.programs[0].ops[3].measured = ms(20);
    const Trust t = compare(w, result(), kTenPercent);
    CHECK(t.verdict == Verdict::kReproduced);
    CHECK(t.silent.empty());
    // 2 of 98 is 2.04 %: "within" rounds up.
    CHECK(has(trust_line(t),
              "reproduces your measured step within 2.1 % (100 ms simulated, 98 ms "
              "measured); TP allreduce +11 %, compute (the trace's) 0 %, DP reducescatter 0 %"));
}

TEST_CASE("the part that misses by most is named, with its share", "[unit]") {
    Workload w = job();
    w.measured.step = ms(140);
    w.programs[0].ops[1].measured = ms(10);
    w.programs[0].ops[3].measured = ms(60);
    const Trust t = compare(w, result(), kTenPercent);
    CHECK(t.verdict == Verdict::kNotReproduced);
    CHECK(t.unexplained == "DP reducescatter");
    CHECK(t.unexplained_time == ms(40));
    CHECK(has(trust_line(t), "does NOT reproduce your measured step: 28.6 % too fast"));
    CHECK(has(unexplained_line(t), "40 ms more than simulated (28.6 % of the step)"));
}

TEST_CASE("a hidden part that misses by more than the limit is not reproduced", "[unit]") {
    Workload w = job();
    w.measured.step = ms(100);
    w.programs[0].ops[3].measured = ms(31);
    CHECK(compare(w, result(), kTenPercent).verdict == Verdict::kNotReproduced);
    CHECK(has(trust_line(compare(w, result(), kTenPercent)), "but NOT its parts"));
    w.programs[0].ops[3].measured = ms(30);  // exactly the limit
    const Trust t = compare(w, result(), kTenPercent);
    CHECK(t.verdict == Verdict::kReproduced);
    CHECK(t.silent == std::vector<std::string>{"TP allreduce"});
    CHECK(compare(w, result(), kTenPercent - 1).verdict == Verdict::kNotReproduced);
}

TEST_CASE("a part that the step outweighs is a warning where it is reproduced", "[unit]") {
    Workload w = job();
    w.measured.step = ms(105);
    w.programs[0].ops[3].measured = ms(26);
    const Trust t = compare(w, result(), kTenPercent);
    CHECK(t.verdict == Verdict::kReproduced);
    CHECK(has(weak_line(t), "not DP reducescatter (20 ms simulated, 26 ms measured)"));
    w.programs[0].ops[3].measured = ms(22);  // within 10 % of itself
    CHECK(weak_line(compare(w, result(), kTenPercent)).empty());
    w.programs[0].ops[3].measured = ms(50);  // refused, so that nothing is predicted
    CHECK(weak_line(compare(w, result(), kTenPercent)).empty());
}

TEST_CASE("a step that no measured part explains says so", "[unit]") {
    Workload w = job();
    w.measured.step = ms(150);
    w.programs[0].ops[3].measured = ms(35);
    const Trust slow = compare(w, result(), kTenPercent);
    CHECK(slow.unexplained == "the rest of the step");
    CHECK(slow.unexplained_time == ms(35));
    w.measured.step = ms(70);
    w.programs[0].ops[3].measured = ms(12);
    const Trust fast = compare(w, result(), kTenPercent);
    CHECK(fast.unexplained_time == ms(-22));
    CHECK(has(unexplained_line(fast), "22 ms less than simulated"));
}

TEST_CASE("without a measured step the parts stand for it", "[unit]") {
    Workload w = job();
    w.programs[0].ops[1].measured = ms(16);
    w.programs[0].ops[3].measured = ms(25);
    const Trust t = compare(w, result(), kTenPercent);
    CHECK(t.verdict == Verdict::kNotReproduced);  // 6 + 5 of 100 ms, each below the limit
    CHECK(has(trust_line(t), "no step measured"));
    w.programs[0].ops[3].measured = ms(15);
    CHECK(compare(w, result(), kTenPercent).verdict == Verdict::kReproduced);
}

TEST_CASE("measured exposure and bubble are parts, and a family counts once", "[unit]") {
    Workload w = job();
    w.measured.step = ms(115);
    w.measured.bubble = ms(0);
    w.measured.families = {{"DP", ms(35), ms(35)}};
    w.programs[0].ops[3].measured = ms(35);
    const Trust t = compare(w, result(), 150'000);
    CHECK(t.verdict == Verdict::kReproduced);  // 15 ms of exposed DP explain the 15 ms
    CHECK(t.parts.size() == 5);
    w.measured.step = ms(130);  // had DP counted twice, 30 ms would be explained
    CHECK(compare(w, result(), 150'000).verdict == Verdict::kNotReproduced);
}

TEST_CASE("a simulation reproduces itself without any error", "[unit]") {
    Workload w = job();
    w.name = "own";
    const Fabric fabric = make_fabric_from_text("scale-up:gpus=4");
    Scenario s;
    s.fabric = &fabric;
    s.workload = &w;
    s.placement = packed_placement(fabric, 4);
    const Result r = simulate(s);
    for (Op& op : w.programs[0].ops)
        if (const auto* c = std::get_if<CollectiveOp>(&op.what))
            for (const CollectiveSummary& row : r.collectives)
                if (row.size == c->size) op.measured = row.mean_time;
    w.measured.step = r.step_time;
    const Trust t = compare(w, simulate(s), 0);
    CHECK(t.verdict == Verdict::kReproduced);
    CHECK(t.unexplained_time == SimDuration{0});
}
