#include "simulator/calibrate/fit.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.hpp"

using namespace weft;

namespace {

MeasuredCase curve(const std::string& id, Collective kind, std::uint32_t hosts,
                   const std::string& algorithm) {
    MeasuredCase c;
    c.id = id;
    c.file = "made.yaml";
    c.host = "dgx-h100";
    c.machine = "made";
    c.hosts = hosts;
    c.gpus_per_host = 8;
    c.collective = kind;
    c.algorithm = algorithm;
    for (int shift = 10; shift <= 33; ++shift)
        c.points.push_back({.size = Bytes{std::int64_t{1} << shift}, .line = shift});
    return c;
}

MachineProfile hidden() {
    MachineProfile p = nccl_tuning_profile();
    p.name = "hidden";
    p.at(Cost::kLaunchLl).value = 19'000'000;
    p.at(Cost::kLaunchLl128).value = 24'000'000;
    p.at(Cost::kLaunchSimple).value = 31'000'000;
    p.at(Cost::kScaleUpStepLl).value = 1'300'000;
    p.at(Cost::kScaleUpStepLl128).value = 2'700'000;
    p.at(Cost::kScaleUpStepSimple).value = 5'200'000;
    p.at(Cost::kNetworkStepLl).value = 6'000'000;
    p.at(Cost::kNetworkStepLl128).value = 7'700'000;
    p.at(Cost::kNetworkStepSimple).value = 19'000'000;
    p.at(Cost::kMessageScaleUp).value = 900'000;
    p.at(Cost::kMessageNetwork).value = 2'600'000;
    p.at(Cost::kScaleUpRate).value = 786;
    p.at(Cost::kNicRate).value = 915;
    p.at(Cost::kDirectRate).value = 880;
    return p;
}

std::vector<MeasuredCase> made_curves() {
    return {curve("one-host", Collective::kAllReduce, 1, "ring"),
            curve("two-hosts", Collective::kAllReduce, 2, "ring"),
            curve("four-hosts", Collective::kAllReduce, 4, "ring"),
            curve("exchange-1", Collective::kAllToAll, 1, "direct"),
            curve("exchange-2", Collective::kAllToAll, 2, "direct")};
}

/// Gives the curves the times of a profile, each off by up to `noise`, uniformly.
void measure(std::vector<MeasuredCase>& curves, const MachineProfile& truth, double noise) {
    RandomStream random(7, 0, "noise");
    for (MeasuredCase& c : curves) {
        const std::vector<SimDuration> times = CaseModel(c).times(truth);
        for (std::size_t i = 0; i < times.size(); ++i) {
            const double u = static_cast<double>(random.below(2'000'001)) / 1e6 - 1;
            const double t = static_cast<double>(times[i].ps()) * (1 + noise * u);
            c.points[i].time = SimDuration{static_cast<std::int64_t>(t)};
        }
    }
}

std::vector<const MeasuredCase*> pointers(const std::vector<MeasuredCase>& cases) {
    std::vector<const MeasuredCase*> all;
    for (const MeasuredCase& c : cases) all.push_back(&c);
    return all;
}

double worst_against(const std::vector<MeasuredCase>& curves, const MachineProfile& a,
                     const MachineProfile& b) {
    double worst = 0;
    for (const MeasuredCase& c : curves) {
        const CaseModel model(c);
        const auto ta = model.times(a);
        const auto tb = model.times(b);
        for (std::size_t i = 0; i < ta.size(); ++i)
            worst = std::max(worst, std::abs(static_cast<double>((ta[i] - tb[i]).ps())) /
                                        static_cast<double>(tb[i].ps()));
    }
    return worst;
}

}  // namespace

TEST_CASE("hidden figures are recovered within the noise that was added", "[slow]") {
    for (const double noise : {0.0, 0.05}) {
        std::vector<MeasuredCase> curves = made_curves();
        measure(curves, hidden(), noise);
        const Fit fit = fit_profile(pointers(curves), nccl_tuning_profile());
        INFO("noise " << noise);
        // Times of the fitted profile against the truth, without the noise.
        CHECK(worst_against(curves, fit.profile, hidden()) < std::max(noise, 0.02));
        std::size_t inside = 0;
        std::size_t determined = 0;
        for (const FittedCost& c : fit.costs) {
            if (!c.determined) continue;
            ++determined;
            const std::int64_t truth = hidden()[c.cost];
            const Estimate& e = fit.profile.at(c.cost);
            inside += truth >= e.low && truth <= e.high ? 1 : 0;
        }
        CHECK(determined >= 8);
        CHECK(inside * 10 >= determined * 9);
    }
}

TEST_CASE("one row that is wrong by 20 % is noticed and named", "[slow]") {
    for (const double noise : {0.0, 0.02})
        for (const std::size_t row : {std::size_t{4}, std::size_t{18}}) {
            std::vector<MeasuredCase> curves = made_curves();
            measure(curves, hidden(), noise);
            MeasuredPoint& wrong = curves[1].points[row];
            wrong.time = wrong.time * 6 / 5;
            const Fit fit = fit_profile(pointers(curves), nccl_tuning_profile());
            std::vector<std::pair<std::size_t, std::size_t>> named;
            for (const FittedPoint& p : fit.points)
                if (p.outlier) named.emplace_back(p.which, p.point);
            INFO("row " << row << " noise " << noise);
            CHECK(named == std::vector<std::pair<std::size_t, std::size_t>>{{1, row}});
            CHECK(worst_against(curves, fit.profile, hidden()) < 0.05);
        }
}

TEST_CASE("a published library is carried by the nearest model", "[unit]") {
    const auto carried = [](const char* library) {
        MeasuredSetup s;
        s.library = library;
        return library_of(s).name;
    };
    CHECK(carried("nccl-2.17") == "nccl-2.18");
    CHECK(carried("nccl-2.20.5") == "nccl-2.18");
    CHECK(carried("nccl-2.21") == "nccl-2.30");
    CHECK(carried("nccl-2.30.7") == "nccl-2.30");
    CHECK(carried("nccl") == "nccl-2.18");
    CHECK(carried("rccl") == "nccl-static");
    MeasuredSetup s;
    s.algorithm = "nvlstree";
    s.network = "efa";
    CHECK(library_of(s).algorithm == "nvls-tree");
    CHECK_FALSE(library_of(s).merge_ports);
    CHECK_FALSE(library_of(s).nvls);
}

TEST_CASE("NCCL's own prediction stands beside the measured times", "[unit]") {
    const Measurements all = builtin_measurements();
    const MeasuredCase* h200 = find_case(all, "mle-h200-8");
    REQUIRE(h200 != nullptr);
    const auto times = CaseModel(*h200).predicted_by_nccl();
    REQUIRE(times.size() == h200->points.size());
    for (std::size_t i = 0; i < times.size(); ++i)
        if (h200->points[i].size == 1_MiB) CHECK(times[i] == SimDuration{28'014'241});
    const MeasuredCase* exchange = find_case(all, "simai-ata-2");
    REQUIRE(exchange != nullptr);
    CHECK_FALSE(CaseModel(*exchange).predicted_by_nccl().front().has_value());
}

TEST_CASE("figures that the rows do not touch keep their constant and a wide range", "[unit]") {
    std::vector<MeasuredCase> curves{curve("one-host", Collective::kAllReduce, 1, "ring")};
    measure(curves, hidden(), 0);
    const Fit fit = fit_profile(pointers(curves), nccl_tuning_profile());
    for (const FittedCost& c : fit.costs) {
        if (c.cost != Cost::kNetworkStepSimple && c.cost != Cost::kNicRate) continue;
        CHECK_FALSE(c.determined);
        CHECK(fit.profile[c.cost] == nccl_tuning_profile()[c.cost]);
        CHECK(fit.profile.at(c.cost).high > fit.profile.at(c.cost).low);
        CHECK(fit.profile.at(c.cost).from.find("hardly determined") == 0);
    }
    REQUIRE(fit.profile.fitted.size() == 1);
    CHECK(fit.profile.fitted[0].most_hosts == 1);
    CHECK(fit.profile.fitted[0].least_size == curves[0].points.front().size);
    CHECK(fit.profile.fitted[0].most_size == curves[0].points.back().size);
}
