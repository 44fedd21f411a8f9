#include "traces/hpcc/flow_list.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "base/result.hpp"
#include "tests/support/skip.hpp"

using namespace weft;

TEST_CASE("HPCC's flows have ends, sizes, starts in seconds and a tag", "[unit]") {
    const FlowSet set =
        hpcc::read_flow_list("2\n2 1 3 100 200000000 2\n3 1 3 200  5 2.000000001\n", "f");
    REQUIRE(set.flows.size() == 2);
    CHECK(set.flows[0].src == GpuId{2});
    CHECK(set.flows[0].dst == GpuId{1});
    CHECK(set.flows[0].start == SimTime{2'000'000'000'000});
    CHECK(set.flows[0].tag == kBackgroundTag);
    CHECK(set.flows[1].start == SimTime{2'000'000'001'000});
    CHECK(set.flows[1].tag == kIncastTag);
    CHECK(set.flows[1].size == 5_B);
}

TEST_CASE("HPCC's flows name nodes of its topology, whose hosts may come last", "[unit]") {
    const std::vector<GpuId> gpus{GpuId{}, GpuId{0}, GpuId{1}};
    const FlowSet set = hpcc::read_flow_list("1\n2 1 3 100 10 0", "f", gpus);
    CHECK(set.flows[0].src == GpuId{1});
    CHECK(set.flows[0].dst == GpuId{0});
    CHECK_THROWS_WITH(hpcc::read_flow_list("1\n2 0 3 100 10 0", "f", gpus),
                      Catch::Contains("f:2: dst: found \"0\", expected a host"));
    CHECK_THROWS_AS(hpcc::read_flow_list("1\n2 3 3 100 10 0", "f", gpus), ConfigError);
}

TEST_CASE("a flow list is cut at its count, and a short one refused", "[unit]") {
    const FlowSet set = hpcc::read_flow_list("1\n2 1 3 100 10 0\n\n7 x\n", "f");
    CHECK(set.flows.size() == 1);
    CHECK(set.notes[0].find("1 further lines") != std::string::npos);
    CHECK(hpcc::read_flow_list("0\n", "f").flows.empty());
    CHECK_THROWS_WITH(hpcc::read_flow_list("2\n2 1 3 100 10 0\n", "f"),
                      Catch::Contains("as many flows as follow, 1"));
}

TEST_CASE("a flow of which anything is wrong is refused by line and key", "[unit]") {
    const auto fails = [](const char* line, const char* words) {
        CHECK_THROWS_WITH(hpcc::read_flow_list(std::string("1\n") + line, "f"),
                          Catch::Contains(words));
    };
    fails("1 1 3 100 10 0", "f:2: dst");
    fails("-1 1 3 100 10 0", "f:2: src");
    fails("2 1 9 100 10 0", "f:2: pg");
    fails("2 1 3 70000 10 0", "f:2: dport");
    fails("2 1 3 100 0 0", "f:2: size");
    fails("2 1 3 100 10 -1", "f:2: start");
    fails("2 1 3 100 10 nan", "f:2: start");
    fails("2 1 3 100 10", "f:2: flow");
    CHECK_THROWS_AS(hpcc::read_flow_list("", "f"), ConfigError);
    CHECK_THROWS_AS(hpcc::read_flow_list("two\n", "f"), ConfigError);
}

TEST_CASE("HPCC's own flow list is read", "[integration]") {
    WEFT_NEEDS_SHARED(path, "simai/hpcc/flow.txt");
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    const FlowSet set = hpcc::read_flow_list(text.str(), "flow.txt");
    CHECK(set.flows.size() == 2);
    CHECK(set.notes[0].find("2 flows") != std::string::npos);
}
