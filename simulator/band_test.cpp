#include "simulator/band.hpp"

#include <catch2/catch.hpp>

#include "topology/fabrics/fabrics.hpp"
#include "traces/synth/synth.hpp"

using namespace weft;

namespace {

/// Figures without ranges, but for those that a test sets.
MachineProfile certain() {
    MachineProfile m = nccl_tuning_profile();
    m.name = "lab";
    for (Estimate& e : m.costs) e.low = e.high = e.value;
    return m;
}

/// A collective of a launch and two steps, and a constant one.
std::vector<SimDuration> launch_and_steps(const MachineProfile& m) {
    return {m.time(Cost::kLaunchSimple) + 2 * m.time(Cost::kScaleUpStepSimple), us(7)};
}

}  // namespace

TEST_CASE("a band is the root of the sum of squares of each figure's ends", "[unit]") {
    MachineProfile m = certain();
    m.at(Cost::kLaunchSimple) = {us(10).ps(), us(7).ps(), us(16).ps(), ""};
    m.at(Cost::kScaleUpStepSimple) = {us(4).ps(), us(2).ps(), us(8).ps(), ""};
    const auto bands =
        bands_by_figures(m, launch_and_steps(m), launch_and_steps(m), launch_and_steps);
    REQUIRE(bands.size() == 2);
    CHECK(bands[0].low == us(18) - us(5));    // 3 and 2 x 2: 5
    CHECK(bands[0].high == us(18) + us(10));  // 6 and 2 x 4: 10
    REQUIRE(bands[0].parts.size() == 2);
    CHECK(bands[0].parts[0].name == "scale_up_step.simple");  // 4 + 8 against 3 + 6
    CHECK(bands[0].parts[0].above == us(8));
    CHECK(bands[0].parts[1].below == us(3));
    CHECK(bands[0].by == "machine lab's ranges");
    CHECK(bands[1].low == us(7));
    CHECK(bands[1].high == us(7));
    CHECK(bands[1].parts.empty());
}

TEST_CASE("only ends that differ from the value are run", "[unit]") {
    MachineProfile m = certain();
    std::size_t runs = 0;
    const TimesUnder times = [&](const MachineProfile& p) {
        ++runs;
        return launch_and_steps(p);
    };
    CHECK(bands_by_figures(m, launch_and_steps(m), launch_and_steps(m), times)[0].high ==
          us(15) + ns(200));
    CHECK(runs == 0);
    m.at(Cost::kLaunchSimple).low -= 1;
    CHECK(bands_by_figures(m, launch_and_steps(m), launch_and_steps(m), times)[0].low ==
          us(15) + ns(200) - ps(1));
    CHECK(runs == 1);
}

TEST_CASE("a time is never below zero, however wide the ranges", "[unit]") {
    MachineProfile m = certain();
    m.at(Cost::kLaunchSimple) = {us(10).ps(), 0, us(10).ps(), ""};
    m.at(Cost::kScaleUpStepSimple) = {us(10).ps(), 0, us(10).ps(), ""};
    const TimesUnder times = [](const MachineProfile& p) {
        return std::vector<SimDuration>{std::max(
            p.time(Cost::kLaunchSimple) + p.time(Cost::kScaleUpStepSimple) - us(9), us(0))};
    };
    CHECK(bands_by_figures(m, {us(11)}, {us(11)}, times)[0].low == us(0));
}

TEST_CASE("the model's own error is a part of what figures decide", "[unit]") {
    MachineProfile m = certain();
    m.at(Cost::kLaunchSimple) = {us(10).ps(), us(7).ps(), us(14).ps(), ""};
    m.at(Cost::kScaleUpStepSimple) = {us(4).ps(), us(4).ps(), us(4).ps(), ""};
    m.model_error = 400;
    const auto bands = bands_by_figures(m, launch_and_steps(m), {us(10), us(0)}, launch_and_steps);
    CHECK(bands[0].low == us(18) - us(5));  // 3 and .4 x 10
    CHECK(bands[0].parts[0].name == "the model itself");
    CHECK(bands[1].low == us(7));
}

TEST_CASE("a scenario's band is what its figures do to the step", "[unit]") {
    const Fabric fabric = make_fabric("hosts", {{"hosts", "1"}});
    const Workload workload = one_collective(Collective::kAllReduce, Bytes{1 << 30}, 8);
    Scenario s;
    s.fabric = &fabric;
    s.workload = &workload;
    s.placement = packed_placement(fabric, 8);
    s.machine = certain();
    s.machine.at(Cost::kScaleUpRate).high = 900;
    s.machine.at(Cost::kNicRate).low = 500;  // one host sends nothing over NICs
    Result r = simulate(s);
    const SimDuration step = r.step_time;
    const Band b = band_by_figures(s, r);
    CHECK(b.high == step);
    REQUIRE(b.parts.size() == 1);
    CHECK(b.parts[0].name == "scale_up.rate");
    s.machine.at(Cost::kScaleUpRate).value = 900;
    CHECK(b.low == simulate(s).step_time);
    s.endpoint = EndpointModel::kIdeal;
    r.step_time = us(3);
    CHECK(band_by_figures(s, r).low == us(3));
}
