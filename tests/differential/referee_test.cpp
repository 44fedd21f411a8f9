// Completion times of other packet simulators for exactly specified scenarios, against ours with
// their parameters. What each referee is good for, and how closely, is in the README beside its
// data; what differs beyond that is said here, case by case. Times are compared in sorted order:
// who wins a tie at time zero is arbitrary.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fmt/format.h>
#include <sstream>

#include "tests/differential/referees.hpp"
#include "tests/support/skip.hpp"

using namespace weft;
using Json = nlohmann::json;

namespace {

/// Ours over theirs, less one.
struct Compared {
    double mean = 0;
    double p50 = 0;
    double p99 = 0;
    double last = 0;  // finish, the mean over seeds
    double our_mean = 0;
    double their_mean = 0;
};

Compared compare(const Json& data, const std::string& referee) {
    std::vector<double> ours, theirs;
    double our_last = 0, their_last = 0;
    for (std::size_t seed = 0; seed < tests::seeds_of(data, referee); ++seed) {
        const std::vector<double> us = tests::our_times(data, referee, seed);
        const std::vector<double> them = tests::their_times(data, referee, seed);
        our_last += us.back();
        their_last += them.back();
        ours.insert(ours.end(), us.begin(), us.end());
        theirs.insert(theirs.end(), them.begin(), them.end());
    }
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    Compared c;
    c.our_mean = tests::mean_of(ours);
    c.their_mean = tests::mean_of(theirs);
    c.mean = c.our_mean / c.their_mean - 1;
    c.p50 = tests::percentile_of(ours, 50) / tests::percentile_of(theirs, 50) - 1;
    c.p99 = tests::percentile_of(ours, 99) / tests::percentile_of(theirs, 99) - 1;
    c.last = our_last / their_last - 1;
    return c;
}

/// How closely the README calls it sensible to agree; 0: not at all.
struct Tolerance {
    const char* referees;
    const char* scenarios;
    double mean;
    double p99 = 0;
    double last = 0;
    double p50 = 0;
};

// csg_hpcc is no referee (its README); uec_dctcp_trim is no congestion control that anybody has.
// uec_rccc_trim turns on an "oversubscribed" control of its own on chains (s07, s11).
constexpr Tolerance kTolerances[] = {
    {"uec_nscc_trim uec_nscc_notrim uec_rccc_trim csg_roce_pfc", "s01 s02", 0.001, 0.001, 0.001},
    {"ns3_dcqcn ns3_timely ns3_dctcp ns3_dcqcn_nowin ns3_timely_nowin ns3_dctcp_nowin", "s01 s02",
     0.002, 0.002, 0.002},
    {"ns3_hpcc", "s01 s02", 0.005, 0.005, 0.005},
    {"uec_nscc_trim", "s03 s06 s07 s12", 0.05, 0.10, 0, 0.10},
    {"uec_nscc_notrim", "s03 s06 s07", 0.05, 0.10, 0, 0.10},
    {"uec_nscc_notrim", "s12", 0.05},
    {"uec_nscc_trim uec_nscc_notrim uec_nscc_trim_oblivious", "s08 s13", 0.05, 0.10, 0, 0.10},
    {"uec_nscc_trim uec_nscc_notrim", "s09 s10 s11", 0.05, 0.10, 0, 0.10},
    {"uec_nscc_trim", "s04 s05", 0.10, 0.10, 0.05, 0.10},
    {"uec_nscc_notrim", "s04 s05", 0.10, 0.10, 0.15},
    {"uec_rccc_trim", "s03 s04 s05 s06 s08 s10 s12 s13", 0.05, 0.10, 0, 0.10},
    {"uec_rccc_trim", "s09", 0.05, 0.10},
    {"csg_roce_pfc", "s03 s04 s05 s06 s07 s09 s10 s11 s12", 0.05, 0.10, 0, 0.10},
    {"csg_roce_pfc csg_roce_pfc_ar", "s08 s13", 0.20},
    {"csg_swift", "s03 s04 s05 s06 s12", 0.10, 0.10, 0, 0.10},
    {"csg_swift", "s07 s08 s11 s13", 0.20, 0.20, 0, 0.10},
    {"ns3_dcqcn ns3_timely ns3_dctcp", "s03 s06 s07 s12 s09", 0.02, 0.02, 0, 0.02},
    {"ns3_dcqcn ns3_timely ns3_dctcp", "s08 s13", 0.02, 0.10, 0, 0.10},
    {"ns3_dcqcn ns3_timely ns3_dctcp", "s04", 0.10, 0.10, 0, 0.10},
    {"ns3_dcqcn ns3_timely ns3_dctcp", "s05", 0.15, 0.10, 0, 0.10},
    {"ns3_hpcc", "s03 s06 s07 s08 s09 s10 s11 s13", 0.05, 0.10, 0, 0.10},
    {"ns3_hpcc", "s12", 0.05, 0.10},
    {"ns3_hpcc", "s04 s05", 0.10, 0.10, 0, 0.10},
    {"ns3_dctcp_nowin", "s03 s06", 0.15, 0, 0, 0.10},
    {"ns3_dctcp_nowin", "s04 s05 s07 s09 s12", 0.15, 0.10, 0, 0.10},
    {"ns3_dcqcn_nowin", "s06 s07", 0.30},
};

std::vector<std::string> words(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> all;
    for (std::string word; in >> word;) all.push_back(word);
    return all;
}

constexpr const char* kScenarios[] = {
    "s01_solo_star", "s02_solo_4links", "s03_two_to_one", "s04_incast8",        "s05_incast32",
    "s06_join_half", "s07_parking_lot", "s08_perm64",     "s09_mice_elephants", "s10_alltoall16",
    "s11_victim",    "s12_four_joins",  "s13_perm64_4MiB"};

std::string file_of(const std::string& scenario) {
    return *std::find_if(std::begin(kScenarios), std::end(kScenarios), [&](const std::string& s) {
        return s.substr(0, scenario.size()) == scenario;
    });
}

}  // namespace

TEST_CASE("completion times are those of other simulators, within what is sensible",
          "[differential]") {
    if (tests::read_scenario("s01_solo_star").is_null()) WEFT_SKIP("no ../shared/data/referee");
    std::size_t rows = 0;
    for (const Tolerance& t : kTolerances)
        for (const std::string& scenario : words(t.scenarios)) {
            const Json data = tests::read_scenario(file_of(scenario));
            for (const std::string& referee : words(t.referees)) {
                if (!data["results"].contains(referee)) continue;
                ++rows;
                const Compared c = compare(data, referee);
                INFO(referee << ' ' << scenario << ": mean " << c.our_mean << " of " << c.their_mean
                             << " us, p99 " << c.p99 << ", last " << c.last);
                CHECK(std::abs(c.mean) < t.mean);
                if (t.p50 > 0) CHECK(std::abs(c.p50) < t.p50);
                if (t.p99 > 0) CHECK(std::abs(c.p99) < t.p99);
                if (t.last > 0) CHECK(std::abs(c.last) < t.last);
            }
        }
    CHECK(rows == 124);
}

// Its seeds lie 20 to 160 % apart. Not met without windows: s05, where PFC holds 32 senders and the
// README expects 15 % (DCQCN +20 %, TIMELY -17 %), and DCQCN in s04, 1413 us where the widened band
// ends at 1337: the first marks come back as the last packets leave, and each packet that is caught
// takes 724 us at the least rate (their seeds: 171 to 1045 us).
TEST_CASE("DCQCN without windows lies within the band of the referee's seeds", "[differential]") {
    const char* scenario = GENERATE("s03_two_to_one", "s09_mice_elephants", "s12_four_joins");
    const Json data = tests::read_scenario(scenario);
    if (data.is_null()) WEFT_SKIP("no ../shared/data/referee");
    double low = 1e300, high = 0, ours = 0;
    const std::size_t seeds = tests::seeds_of(data, "ns3_dcqcn_nowin");
    for (std::size_t seed = 0; seed < seeds; ++seed) {
        const double mean = tests::mean_of(tests::their_times(data, "ns3_dcqcn_nowin", seed));
        low = std::min(low, mean);
        high = std::max(high, mean);
        ours += tests::mean_of(tests::our_times(data, "ns3_dcqcn_nowin", seed)) /
                static_cast<double>(seeds);
    }
    INFO(scenario << ": " << ours << " in " << low << " to " << high << " us");
    CHECK(ours > low - (high - low) / 3);
    CHECK(ours < high + (high - low) / 3);
}

TEST_CASE("without windows DCTCP is faster than DCQCN, and that than TIMELY", "[differential]") {
    const Json data = tests::read_scenario("s06_join_half");
    if (data.is_null()) WEFT_SKIP("no ../shared/data/referee");
    const auto mean = [&](const char* referee) {
        return tests::mean_of(tests::our_times(data, referee, 0));
    };
    CHECK(mean("ns3_dctcp_nowin") < mean("ns3_dcqcn_nowin"));
    CHECK(mean("ns3_dcqcn_nowin") < mean("ns3_timely_nowin"));
}

TEST_CASE("all referees, as a table", "[.table]") {
    for (const char* scenario : kScenarios) {
        const Json data = tests::read_scenario(scenario);
        if (data.is_null()) WEFT_SKIP("no ../shared/data/referee");
        for (const auto& [referee, result] : data["results"].items()) {
            if (referee == "csg_hpcc" || referee == "uec_dctcp_trim") continue;
            const Compared c = compare(data, referee);
            fmt::print(
                "{:20} {:24} mean {:8.2f} {:8.2f} {:+6.1f} %  p50 {:+6.1f} %  p99 {:+6.1f} %  last "
                "{:+6.1f} %\n",
                scenario, referee, c.our_mean, c.their_mean, 100 * c.mean, 100 * c.p50, 100 * c.p99,
                100 * c.last);
        }
    }
}
