#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "collectives/transport/fault/fault.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a plan of faults is read from one line", "[unit]") {
    const FaultPlan plan = parse_fault_plan(
        "seed=7; drop=1%; late=0.05%; corrupt = 0.0001% ;longest=3ms; detect=250us;"
        " kill lane=1 rank=0 after=20 at=5ms lasts=300ms; slow rate=10Mbps; ");
    CHECK(plan.seed == 7);
    CHECK(plan.drop == 10'000);
    CHECK(plan.late == 500);
    CHECK(plan.corrupt == 1);
    CHECK(plan.delay == 0);
    CHECK(plan.longest == 3ms);
    CHECK(plan.detect == 250us);
    REQUIRE(plan.lanes.size() == 2);
    CHECK(plan.lanes[0].kind == LaneFault::Kind::kCut);
    CHECK(plan.lanes[0].lane == 1);
    CHECK(plan.lanes[0].rank == 0);
    CHECK(plan.lanes[0].after == 20);
    CHECK(plan.lanes[0].at == 5ms);
    CHECK(plan.lanes[0].lasts == 300ms);
    CHECK(plan.lanes[1].kind == LaneFault::Kind::kSlow);
    CHECK(plan.lanes[1].lane == -1);
    CHECK(plan.lanes[1].lasts > 24h);
    CHECK(plan.lanes[1].bytes_per_second == 1'250'000);
    CHECK(parse_fault_plan("").share() == 0);
}

TEST_CASE("a plan of faults that makes no sense is refused by one line", "[unit]") {
    const std::pair<const char*, const char*> rows[] = {
        {"drop", "NAME=VALUE"},
        {"=1%", "NAME=VALUE"},
        {"drip=1%", "drip"},
        {"drop=1", "drop"},
        {"drop=101%", "100%"},
        {"drop=-1%", "drop"},
        {"drop=60%; late=60%", "together"},
        {"drop=1%; drop=2%", "once"},
        {"seed=x", "seed"},
        {"seed=99999999999999999999", "seed"},
        {"longest=3", "longest"},
        {"kill lane=x", "lane"},
        {"kill lane=4294967296", "lane"},
        {"kill rate=1Gbps", "rate"},
        {"slow lane=0", "rate"},
        {"slow rate=1bps", "byte a second"},
        {"slow rate=fast", "rate"},
    };
    for (const auto& [text, said] : rows) {
        INFO(text);
        CHECK_THROWS_WITH(parse_fault_plan(text), Catch::Contains(said));
    }
}

}  // namespace
}  // namespace weft::live
