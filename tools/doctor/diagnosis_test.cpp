#include "tools/doctor/diagnosis.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace weft::tools {
namespace {

using Catch::Matchers::Contains;
using live::Absent;
using live::RankReport;

live::OperationHead head_of(std::uint64_t operation, live::ContextId context = 0) {
    live::OperationHead h;
    h.operation = operation;
    h.context = context;
    h.count = 1024;
    return h;
}

/// A rank that has finished `finished` operations of the world and is in no other.
Patient idle(std::uint32_t rank, std::uint32_t ranks, std::uint64_t finished) {
    RankReport r{.version = "1", .job = 5, .rank = rank, .ranks = ranks, .age_ms = 60'000};
    for (std::uint32_t i = 0; i < ranks; ++i)
        r.homes.push_back({"a", 100 + static_cast<std::int32_t>(i), true});
    RankReport::Group g{.context = 0, .members = {{0, ranks}}};
    g.newest = g.finished = finished;
    g.idle_ms = 12'400;
    r.groups.push_back(g);
    return {.rank = rank,
            .process = 100 + static_cast<std::int32_t>(rank),
            .report = r,
            .why = {},
            .state = 'S',
            .busy = 0.01};
}

/// One that is in the next of communicator `context`, and stands still.
Patient waiting(std::uint32_t rank, std::uint32_t ranks, std::uint64_t finished,
                live::ContextId context = 0) {
    Patient p = idle(rank, ranks, finished);
    if (context != 0) {
        p.report->groups.push_back(p.report->groups[0]);
        p.report->groups.back().context = context;
    }
    RankReport::Group& g = p.report->groups.back();
    g.newest = finished + 1;
    g.under_way.push_back(
        {.head = head_of(finished + 1, context), .begun_ms = 12'000, .still_ms = 11'000});
    g.waits_for = "nothing came on lanes 0..1 of channel 0, stage 0, rank 3, step 1";
    return p;
}

std::string text_of(const Diagnosis& d, const std::vector<Patient>& patients) {
    std::string text;
    for (const std::string& line : in_words(d, patients)) text += line + "\n";
    return text;
}

TEST_CASE("A job whose ranks all move is well", "[unit]") {
    std::vector<Patient> all{idle(0, 2, 7), waiting(1, 2, 7)};
    all[1].report->groups[0].under_way[0].still_ms = 3;
    const Diagnosis d = diagnose(all, 1);
    CHECK(d.well());
    CHECK_THAT(text_of(d, all), Contains("nobody is stuck") && Contains("and moves"));
}

TEST_CASE("Who computes, and who sleeps in his own code, is told apart", "[unit]") {
    std::vector<Patient> all{waiting(0, 3, 16), waiting(1, 3, 16), idle(2, 3, 16)};
    all[2].busy = 0.97;
    Diagnosis d = diagnose(all, 1);
    CHECK_FALSE(d.well());
    REQUIRE(d.standstills.size() == 1);
    CHECK(d.standstills[0].head.operation == 17);
    CHECK(d.standstills[0].begun == std::vector<std::uint32_t>{0, 1});
    REQUIRE(d.standstills[0].missing.size() == 1);
    CHECK(d.standstills[0].missing[0].ailment == Ailment::kCompute);
    CHECK(d.roots == std::vector<std::uint32_t>{2});
    CHECK_THAT(
        text_of(d, all),
        Contains("rank 2 (process 102, host a) has not arrived: in compute: in no operation "
                 "for 12.4 s, its threads are busy 97 % of the time; last finished operation 16"));
    all[2].busy = 0.02;
    d = diagnose(all, 1);
    CHECK(d.standstills[0].missing[0].ailment == Ailment::kLate);
}

TEST_CASE("A rank in another collective is not at the bottom of it", "[unit]") {
    std::vector<Patient> all{waiting(0, 3, 4), waiting(1, 3, 4, 9), idle(2, 3, 4)};
    for (Patient& p : all)
        if (p.rank != 1) {
            p.report->groups.push_back(p.report->groups[0]);
            p.report->groups.back() = {.context = 9, .members = {{1, 2}}, .newest = 4};
        }
    const Diagnosis d = diagnose(all, 1);
    REQUIRE(d.standstills.size() == 2);
    CHECK(d.standstills[0].missing[0].rank == 1);
    CHECK(d.standstills[0].missing[0].ailment == Ailment::kElsewhere);
    CHECK_THAT(d.standstills[0].missing[0].words,
               Contains("5 of communicator 9") && Contains("step 1"));
    CHECK(d.roots == std::vector<std::uint32_t>{2});
    CHECK_FALSE(d.circle);
}

TEST_CASE("Ranks in each other's way are a circle", "[unit]") {
    std::vector<Patient> all{waiting(0, 2, 4), waiting(1, 2, 4, 9)};
    all[0].report->groups.push_back({.context = 9, .members = {{0, 2}}});
    const Diagnosis d = diagnose(all, 1);
    CHECK(d.standstills.size() == 2);
    CHECK(d.roots.empty());
    CHECK(d.circle);
}

TEST_CASE("A process that does not answer is stopped, ended, or silent", "[unit]") {
    std::vector<Patient> all{waiting(0, 2, 1), {.rank = 1, .process = 7, .why = "does not answer"}};
    const auto ailment = [&](char state) {
        all[1].state = state;
        const Diagnosis d = diagnose(all, 1);
        REQUIRE(d.standstills.size() == 1);
        REQUIRE(d.standstills[0].missing.size() == 1);
        return d.standstills[0].missing[0].ailment;
    };
    CHECK(ailment('T') == Ailment::kStopped);
    CHECK(ailment('X') == Ailment::kDead);
    CHECK(ailment('S') == Ailment::kSilent);
    CHECK(ailment('?') == Ailment::kSilent);
}

TEST_CASE("Of ranks elsewhere it says what these have heard", "[unit]") {
    std::vector<Patient> all{waiting(0, 4, 1)};
    RankReport& r = *all[0].report;
    for (std::size_t i = 1; i < 4; ++i) r.homes[i] = {"b", 5, false};
    r.gone.push_back({.rank = 3, .left = false, .what = "its process is gone"});
    r.groups[0].absent.push_back({.rank = 1, .why = Absent::Why::kLate, .seconds = 3});
    r.groups[0].absent.push_back({.rank = 2, .why = Absent::Why::kSilent, .seconds = 4});
    const Diagnosis d = diagnose(all, 1);
    REQUIRE(d.standstills.size() == 1);
    REQUIRE(d.standstills[0].missing.size() == 3);
    CHECK(d.standstills[0].missing[0].ailment == Ailment::kLate);
    CHECK(d.standstills[0].missing[1].ailment == Ailment::kSilent);
    CHECK(d.standstills[0].missing[2].ailment == Ailment::kDead);
    CHECK_THAT(text_of(d, all), Contains("rank 1 (process 5, host b)"));
}

TEST_CASE("A lane that is down or slow is named", "[unit]") {
    std::vector<Patient> all{idle(0, 2, 1), idle(1, 2, 1)};
    all[1].report->lanes.push_back({.peer = 0,
                                    .lane = 2,
                                    .rail = 1,
                                    .plane = 0,
                                    .up = true,
                                    .rate = 2'000'000,
                                    .best = 30'000'000});
    all[1].report->lanes.push_back({.peer = 0, .lane = 3, .rail = 1, .plane = 1, .up = false});
    const Diagnosis d = diagnose(all, 1);
    CHECK(d.well());
    CHECK_THAT(
        text_of(d, all),
        Contains("rank 1: lane 2 to rank 0 (rail 1, plane 0) is slow: 2.0 MB/s, the best 30.0") &&
            Contains("lane 3 to rank 0 (rail 1, plane 1) is down"));
}

}  // namespace
}  // namespace weft::tools
