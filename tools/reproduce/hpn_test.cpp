#include "tools/reproduce/hpn.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "topology/fabrics/fabrics.hpp"
#include "traces/synth/synth.hpp"

using namespace weft;
using namespace weft::tools;

TEST_CASE("the spread of 1..100 is 51, 6 and 96 by nearest rank", "[unit]") {
    std::vector<double> values;
    for (int i = 100; i >= 1; --i) values.push_back(i);
    const Spread s = spread(values);
    CHECK(s.median == 51);
    CHECK(s.low == 6);
    CHECK(s.high == 96);
}

TEST_CASE("a verdict compares the spread with the paper's range", "[unit]") {
    Finding f{"E1", "", "rails", {.5, .4, .6}, .501, .637, false};
    CHECK(verdict(f) == "inside");
    f.value = {.3, .2, .4};
    CHECK(verdict(f) == "miss: below");
    f.quantity = "all-reduce";
    CHECK(verdict(f) == "miss: below; NVLS not modelled yet");
    f = {"E3", "", "training", {-.1, -.1, -.1}, -.0625, -.0625, false};
    CHECK(verdict(f) == "miss: loses more");
    f = {"E1", "", "rails", {.06, 0, .2}, 0, 0, true};
    CHECK(verdict(f) == "still on");
    f.value.median = .05;
    CHECK(verdict(f) == "off");
}

TEST_CASE("the text has every finding once, in 110 columns", "[unit]") {
    HpnReproduction r;
    const Spread wide{-1.234, -2.345, 3.456};
    r.findings = {{"E1", "256 GPUs, Q = 4", "all-reduce", wide, .501, .637, false, {}},
                  {"E1", "256 GPUs, Q = 8", "all-reduce", wide, .501, .637, false, {}},
                  {"E2", "8 uplinks, Q = 4, own seeds", "rails", wide, 1.582, 1.582, false, {}},
                  {"E3", "compute ten times slower", "training, hidden", wide, 0, 0, true, {}}};
    r.warnings = {"a note"};
    const std::string text = to_text(r, {.seeds = 7, .threads = 1});
    std::istringstream lines(text);
    std::size_t findings = 0;
    for (std::string line; std::getline(lines, line);) {
        CHECK(line.size() <= 110);
        if (line.find("-123.4 % [-234.5, +345.6]") != std::string::npos) ++findings;
    }
    CHECK(findings == r.findings.size());
    CHECK(text.find("over 7 hash seeds") != std::string::npos);
    CHECK(text.find("all-reduce (paper +50.1 to +63.7 %)") != std::string::npos);
    CHECK(text.find("note: a note") != std::string::npos);
}

TEST_CASE("the JSON has every finding, seed by seed", "[unit]") {
    HpnReproduction r;
    r.findings = {{"E2", "8 uplinks", "rails", {.5, .25, .75}, 1.582, 1.582, false, {.25, .5, .75}},
                  {"E3", "slow", "training, hidden", {0, 0, 0}, 0, 0, true, {0, 0, 0}}};
    const auto j = nlohmann::json::parse(to_json(r, {.seeds = 3, .threads = 1}));
    CHECK(j["seeds"] == 3);
    REQUIRE(j["findings"].size() == 2);
    CHECK(j["findings"][0]["by_seed"] == std::vector<double>{.25, .5, .75});
    CHECK(j["findings"][0]["paper"] == std::vector<double>{1.582, 1.582});
    CHECK(j["findings"][0]["verdict"] == "miss: below");
    CHECK_FALSE(j["findings"][1].contains("paper"));
}

TEST_CASE("one plane slows static QPs and not least outstanding bytes", "[integration]") {
    const Fabric dual = make_fabric_from_text("hpn7:segments=2");
    const Fabric single = make_fabric_from_text("hpn7:segments=2,mode=single-plane");
    const Workload rails = strided_collectives(Collective::kAllReduce, Bytes{500'000'000}, 32, 8);
    const auto gain = [&](const Library& library) {
        Trial slow{.fabric = &single, .workload = &rails, .segments = 2, .library = library};
        Trial fast = slow;
        fast.fabric = &dual;
        return spread(gains(step_times(slow, 8, 2), step_times(fast, 8, 1)));
    };
    // Facts A2b, by Monte Carlo: +100 % at four QPs a connection.
    CHECK(gain({.name = "nccl-static", .qps_per_connection = 4}).median == Approx(1.0).margin(.05));
    CHECK(gain({.name = "nccl-static", .qps_per_connection = 32}).median == Approx(.38).margin(.1));
    CHECK(gain({.name = "weft"}).high <= .05);
}
