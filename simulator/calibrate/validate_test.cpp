#include "simulator/calibrate/validate.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "simulator/calibrate/fit.hpp"

using namespace weft;

namespace {

const MeasuredCase& published(const Measurements& all, const std::string& id) {
    for (const MeasuredCase& c : all.cases)
        if (c.id == id) return c;
    FAIL("no case " << id);
    return all.cases.front();
}

double off(SimDuration simulated, SimDuration measured) {
    return std::abs(error_of(simulated, measured));
}

}  // namespace

TEST_CASE("machines and scales not fitted are predicted within 10 % in the median", "[slow]") {
    const Measurements all = builtin_measurements();
    const Validation v = validate_measurements(all, builtin_profiles());
    const auto check = [&](std::optional<Collective> kind) {
        const ErrorSummary weft = summarise(v, Model::kWeft, Use::kTest, kind);
        CHECK(weft.points > 40);
        CHECK(weft.median <= 0.10);
        // At most half the error of what the same rows make of a line and of alpha and beta.
        CHECK(weft.median <= 0.5 * summarise(v, Model::kLine, Use::kTest, kind).median);
        CHECK(weft.median <= 0.5 * summarise(v, Model::kSteps, Use::kTest, kind).median);
    };
    check({});
    check(Collective::kAllReduce);
    check(Collective::kAllGather);
    check(Collective::kReduceScatter);
    check(Collective::kAllToAll);
    std::size_t right = 0;
    for (const ValidatedDecision& d : v.decisions) right += d.right ? 1 : 0;
    CHECK(right >= 20);
}

TEST_CASE("1 KiB takes what Azure's A100, H100 and H200 take, within 20 %", "[unit]") {
    const Measurements all = builtin_measurements();
    const std::vector<MachineProfile> profiles = builtin_profiles();
    for (const char* id : {"azure-a100-8", "azure-h100-8", "azure-h200-8"}) {
        const MeasuredCase& c = published(all, id);
        const MachineProfile* p = profile_for(profiles, c.machine);
        REQUIRE(p != nullptr);
        REQUIRE(c.points.front().size == 1_KiB);
        CHECK(off(CaseModel(c).times(*p).front(), c.points.front().time) <= 0.20);
    }
}

TEST_CASE("a row of a published curve that is off by 20 % is named", "[slow]") {
    const Measurements all = builtin_measurements();
    for (const std::size_t row : {std::size_t{16}, std::size_t{20}}) {
        MeasuredCase c = published(all, "azure-h200-8");
        c.points[row].time = c.points[row].time * 6 / 5;
        const Fit fit = fit_profile({&c}, nccl_tuning_profile());
        std::vector<std::size_t> named;
        for (const FittedPoint& p : fit.points)
            if (p.outlier) named.push_back(p.point);
        CHECK(std::find(named.begin(), named.end(), row) != named.end());
    }
}

TEST_CASE("endpoint detailed is judged by the same rows, and fitted to none", "[unit]") {
    const Measurements all = builtin_measurements();
    Measurements one;
    one.cases.push_back(published(all, "azure-h200-8"));
    const Validation v =
        validate_measurements(one, builtin_profiles(), {}, EndpointModel::kDetailed);
    CHECK(v.cases[0].problem.empty());
    CHECK(v.cases[0].beyond.empty());
    MachineProfile moved = *profile_for(builtin_profiles(), "h200");
    for (Estimate& e : moved.costs) e.value = e.high;
    const Validation same = validate_measurements(one, {moved}, {}, EndpointModel::kDetailed);
    for (std::size_t i = 0; i < v.cases[0].points.size(); ++i)
        CHECK(same.cases[0].points[i].simulated == v.cases[0].points[i].simulated);
}
