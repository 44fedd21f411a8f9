#include "simulator/calibrate/hold_out.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "simulator/calibrate/validate.hpp"

using namespace weft;

namespace {

const MeasuredCase& published(const Measurements& all, const std::string& id) {
    const MeasuredCase* c = find_case(all, id);
    REQUIRE(c != nullptr);
    return *c;
}

/// How far each second row lies from the straight line, in logarithms, through the two measured
/// rows beside it; the median. No model is in it: how irregular the curve is by itself.
double own_scatter(const MeasuredCase& c) {
    const auto time = [&](std::size_t i) {
        return std::log(static_cast<double>(c.points[i].time.ps()));
    };
    const auto size = [&](std::size_t i) {
        return std::log(static_cast<double>(c.points[i].size.count()));
    };
    std::vector<double> off;
    for (std::size_t i = 1; i + 1 < c.points.size(); i += 2) {
        const double x = (size(i) - size(i - 1)) / (size(i + 1) - size(i - 1));
        off.push_back(std::abs(std::exp(time(i - 1) * (1 - x) + time(i + 1) * x - time(i)) - 1));
    }
    return median(off);
}

/// The published curves that half their rows do not predict, and why.
const std::map<std::string, std::string>& missed() {
    static const std::string irregular = "their own neighbours miss its rows as far";
    static const std::map<std::string, std::string> all{
        {"gcp-b200-2-allgather", irregular},
        {"simai-nic-64", irregular},
        {"simai-nic-64-allgather", irregular},
        {"simai-nic-64-reducescatter", irregular},
        {"simai-nic-128", irregular},
        {"simai-nic-128-allgather", irregular},
        {"simai-nic-128-reducescatter", irregular},
        {"mle-p6b200-4", "the model leaves the tree at 4 MiB, the curve is flat from 16 to 32 MiB"},
    };
    return all;
}

void expect_half(const MeasuredCase& c) {
    const HeldOut h = hold_out({&c}, nccl_tuning_profile());
    INFO(c.id << ": " << 100 * h.named << " % by the figures, " << 100 * h.remained
              << " % with the remainder");
    CHECK(h.rows == c.points.size() / 2);
    const auto known = missed().find(c.id);
    CHECK((h.remained <= 0.05) == (known == missed().end()));
    if (known != missed().end() && c.id != "mle-p6b200-4") CHECK(own_scatter(c) > 0.08);
}

}  // namespace

// Those that the named figures alone miss, once each, and some that they do not.
TEST_CASE("half the sizes of a published curve predict the other half", "[slow]") {
    const Measurements all = builtin_measurements();
    for (const char* id :
         {"azure-h100-8", "oci-a100-2", "mle-a100-8", "nccltests309-h100-2", "nccltests309-h100-4",
          "nccltests309b-h100-8", "simai-nic-16", "simai-nic-32", "simai-nic-32-allgather",
          "simai-nvlink-16", "azure-a100-8", "azure-h200-8", "simai-ata-1"})
        expect_half(published(all, id));
}

// Two minutes; run by name: calibrate_tests "[sweep]".
TEST_CASE("half the sizes of all published curves, and the ones that miss", "[.][sweep]") {
    const Measurements all = builtin_measurements();
    std::size_t curves = 0;
    for (const MeasuredCase& c : all.cases) {
        if (c.points.size() < 8) continue;
        ++curves;
        expect_half(c);
    }
    CHECK(curves == 59);
}

TEST_CASE("curves that are missed are missed by the line through neighbours too", "[unit]") {
    const Measurements all = builtin_measurements();
    for (const char* id : {"gcp-b200-2-allgather", "simai-nic-64", "simai-nic-128"})
        CHECK(own_scatter(published(all, id)) > 0.08);
    CHECK(own_scatter(published(all, "azure-h200-8")) < 0.05);
}

TEST_CASE("a fit's own rows are reproduced, and a wrong row does not travel", "[slow]") {
    const Measurements all = builtin_measurements();
    const MeasuredCase& sound = published(all, "azure-h200-8");
    Fit fit = fit_profile({&sound}, nccl_tuning_profile());
    add_remainder(fit, {&sound});
    const HeldOut own = reproduced(fit, {&sound});
    CHECK(own.rows + 2 >= sound.points.size());
    CHECK(own.named > 0.01);
    CHECK(own.remained < 0.002);

    constexpr std::size_t kRow = 16;
    MeasuredCase wrong = sound;
    wrong.points[kRow].time = wrong.points[kRow].time * 6 / 5;
    fit = fit_profile({&wrong}, nccl_tuning_profile());
    add_remainder(fit, {&wrong});
    REQUIRE(fit.points[kRow].outlier);
    REQUIRE(fit.profile.remainder.size() == 1);
    for (const RemainderRow& row : fit.profile.remainder[0].rows)
        CHECK(row.size != wrong.points[kRow].size);
    const SimDuration said = CaseModel(sound).times(fit.profile)[kRow];
    CHECK(std::abs(error_of(said, sound.points[kRow].time)) < 0.05);
    CHECK(error_of(said, wrong.points[kRow].time) < -0.12);
}

TEST_CASE("curves of one kind share a remainder, of another scale they do not", "[unit]") {
    MeasuredCase a;
    a.host = "dgx-h100";
    a.gpus_per_host = 8;
    a.library = "nccl-2.20";
    a.points = {{.size = 1_MiB}, {.size = 2_MiB}};
    MeasuredCase b = a;
    MeasuredCase c = a;
    c.hosts = 2;
    c.nvls = true;
    Fit fit;
    fit.points = {
        {.which = 0, .point = 0, .error = 0.25}, {.which = 0, .point = 1, .error = 1.0},
        {.which = 1, .point = 0, .error = 0.0},  {.which = 1, .point = 1, .outlier = true},
        {.which = 2, .point = 0, .error = -0.5}, {.which = 2, .point = 1, .error = -1.0}};
    add_remainder(fit, {&a, &b, &c});
    const std::vector<Remainder>& all = fit.profile.remainder;
    REQUIRE(all.size() == 2);
    CHECK(to_string(all[0].of) == "allreduce on 1 host, 8 ranks, nccl-2.18");
    CHECK(all[0].rows == std::vector<RemainderRow>{{1_MiB, 900}, {2_MiB, 500}});
    CHECK(to_string(all[1].of) == "allreduce on 2 hosts, 16 ranks, nccl-2.18 with nvls");
    CHECK(all[1].rows == std::vector<RemainderRow>{{1_MiB, 2000}, {2_MiB, kMostRemainder}});
}

TEST_CASE("curves of few rows judge nothing", "[unit]") {
    const Measurements all = builtin_measurements();
    MeasuredCase c = published(all, "azure-h200-8");
    c.points.resize(kLeastRows - 1);
    CHECK(hold_out({&c}, nccl_tuning_profile()).rows == 0);
}
