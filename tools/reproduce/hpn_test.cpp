#include "tools/reproduce/hpn.hpp"

#include <catch2/catch.hpp>

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
