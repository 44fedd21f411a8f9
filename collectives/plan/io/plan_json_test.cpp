#include "collectives/plan/io/plan_json.hpp"

#include <catch2/catch.hpp>

#include "collectives/algorithms/algorithm.hpp"
#include "collectives/plan/checker.hpp"
#include "collectives/plan/form.hpp"

namespace weft {
namespace {

GroupShape shape_of(std::uint64_t n, std::uint64_t per_host) {
    GroupShape s;
    s.n = n;
    s.per_host = per_host;
    s.hosts = n / per_host;
    return s;
}

std::string refusal(const std::string& text) {
    try {
        (void)proved_plan_from_json(text, "p.json");
        return "";
    } catch (const ConfigError& e) {
        return e.what();
    }
}

TEST_CASE("every algorithm's Plan goes out and comes in the same", "[unit]") {
    for (const auto& row : builtin_algorithms().rows())
        for (const auto& [n, g] : {std::pair(1, 1), std::pair(7, 1), std::pair(8, 4)}) {
            CAPTURE(row.info.name, n);
            AlgorithmParams params;
            params.channels = 2;
            const PlanTemplate p = row.make.build(
                shape_of(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(g)), params);
            REQUIRE(fault_of_form(p) == "");
            const PlanTemplate back = proved_plan_from_json(plan_to_json(p));
            CHECK(back.hash() == p.hash());
            // Listed transfer by transfer too.
            const PlanTemplate listed = expand(p);
            CHECK(proved_plan_from_json(plan_to_json(listed)).hash() == listed.hash());
        }
}

TEST_CASE("a Plan that does not compute its collective is refused in the checker's words",
          "[unit]") {
    PlanTemplate p = build_plan(Collective::kAllReduce, "ring", shape_of(4, 1));
    std::get<Ring>(p.channels[0].stages[1].pattern).steps -= 1;
    CHECK_THAT(refusal(plan_to_json(p)),
               Catch::Contains("p.json") && Catch::Contains(check_plan(p).problem.substr(0, 20)));
}

TEST_CASE("what is no Plan is refused, with its place", "[unit]") {
    const std::string good =
        plan_to_json(build_plan(Collective::kAllReduce, "ring", shape_of(4, 1)));
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        const std::size_t at = text.find(from);
        REQUIRE(at != text.npos);
        return refusal(text.replace(at, from.size(), to));
    };
    CHECK(refusal(good) == "");
    CHECK_THAT(refusal("{\"weft_plan\": 1,\n\n x"), Catch::Contains("p.json:3: plan: found"));
    CHECK_THAT(refusal("[]"), Catch::Contains("expected an object"));
    CHECK_THAT(refusal("{}"), Catch::Contains("weft_plan: found \"nothing"));
    CHECK_THAT(refusal(std::string(100'000, '[')), Catch::Contains("16 levels at most"));
    CHECK_THAT(with("\"weft_plan\":1", "\"weft_plan\":2"), Catch::Contains("version 1"));
    CHECK_THAT(with("\"ranks\":4", "\"ranks\":4294967295"), Catch::Contains("4096"));
    CHECK_THAT(with("\"ranks\":4", "\"ranks\":-4"), Catch::Contains("ranks: found \"-4"));
    CHECK_THAT(with("\"ranks\":4", "\"ranks\":4.5"), Catch::Contains("a whole number"));
    CHECK_THAT(with("\"ranks\":4", "\"ranks\":5"), Catch::Contains("channel 0"));
    CHECK_THAT(with("\"slots\"", "\"sluts\""),
               Catch::Contains("channels[0].sluts: found \"an unknown key"));
    CHECK_THAT(with("\"pattern\":\"ring\"", "\"pattern\":\"rang\""),
               Catch::Contains("channels[0].stages[0].pattern") && Catch::Contains("direct"));
    CHECK_THAT(with("\"steps\":3", "\"steps\":4000000"), Catch::Contains("4000000 steps"));
    CHECK_THAT(with("\"size\":4", "\"size\":0"), Catch::Contains("cells of size 0"));
    CHECK_THAT(with("\"span\":1", "\"span\":9"), Catch::Contains("a transfer of 9 units of 4"));
    CHECK_THAT(with("\"slots\":8", "\"slots\":0"), Catch::Contains("0 slots"));
}

}  // namespace
}  // namespace weft
