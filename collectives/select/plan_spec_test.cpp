#include "collectives/select/plan_spec.hpp"

#include <catch2/catch.hpp>

namespace weft {
namespace {

TEST_CASE("a Plan by name, with its parameters", "[unit]") {
    const PlanSpec s =
        parse_plan_spec("all-reduce/ring channels=2 slice=256KiB, slots=16 loops=3 walk=same-way");
    CHECK(s.collective == Collective::kAllReduce);
    CHECK(s.algorithm == "allreduce/ring");
    CHECK(s.params.channels == 2);
    CHECK(s.params.slots == 16);
    CHECK(s.params.loops == 3);
    CHECK(s.params.slice == Bytes{256 * 1024});
    CHECK(s.params.ring_walk == RingWalk::kSameWay);
    CHECK(parse_plan_spec("broadcast/tree").params.channels == 1);
}

TEST_CASE("a Plan's name that makes no sense is refused with the word", "[unit]") {
    const auto refusal = [](const char* text) -> std::string {
        try {
            (void)parse_plan_spec(text);
            return "";
        } catch (const ConfigError& e) {
            return e.what();
        }
    };
    CHECK_THAT(refusal(""), Catch::Contains("collective/algorithm"));
    CHECK_THAT(refusal("ring"), Catch::Contains("found \"ring"));
    CHECK_THAT(refusal("allreduce/rong"), Catch::Contains("ring"));
    CHECK_THAT(refusal("allreduce/ring channels"), Catch::Contains("key=value"));
    CHECK_THAT(refusal("allreduce/ring channels=0"), Catch::Contains("1 to 64"));
    CHECK_THAT(refusal("allreduce/ring slots=x"), Catch::Contains("slots: found \"x"));
    CHECK_THAT(refusal("allreduce/ring slice=3"), Catch::Contains("slice"));
    CHECK_THAT(refusal("allreduce/ring walk=back"), Catch::Contains("alternating"));
    CHECK_THAT(refusal("allreduce/ring pace=2"), Catch::Contains("pace"));
}

}  // namespace
}  // namespace weft
