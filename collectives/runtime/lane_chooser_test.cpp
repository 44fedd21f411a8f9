#include "collectives/runtime/lane_chooser.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <deque>

namespace weft::live {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kSlice = 16 * 1024;
const std::array<Lane, 2> kTwoPlanes{Lane{.plane = 0}, Lane{.plane = 1}};

/// Two lanes that deliver one slice after the other, each at its own rate, under a clock of their
/// own; the sender always has another slice, for either plane in turn or for any.
struct Shares {
    std::array<double, 2> rate{};  // bytes a second
    bool any_plane = false;
    std::size_t room = 8;  // slices that a lane takes

    [[nodiscard]] std::array<int, 2> of(int slices) {
        LaneChooser chooser(kTwoPlanes);
        std::array<std::deque<Clock::time_point>, 2> ends;
        std::array<int, 2> given{};
        Clock::time_point now{1s};
        for (int sent = 0; sent < slices;) {
            std::vector<std::uint32_t> full;
            for (std::uint32_t l = 0; l < 2; ++l)
                if (ends[l].size() >= room) full.push_back(l);
            const auto lane = chooser.choose(-1, any_plane ? -1 : sent % 2, kSlice, now, full);
            if (lane) {
                const auto start = ends[*lane].empty() ? now : ends[*lane].back();
                const std::chrono::duration<double> takes(kSlice / rate[*lane]);
                ends[*lane].push_back(start + std::chrono::duration_cast<Clock::duration>(takes));
                chooser.post(*lane, kSlice, now);
                ++given[*lane];
                ++sent;
                continue;
            }
            std::uint32_t first = ends[0].empty() ? 1 : 0;
            if (!ends[0].empty() && !ends[1].empty() && ends[1].front() < ends[0].front())
                first = 1;
            now = ends[first].front();
            ends[first].pop_front();
            chooser.complete(first, kSlice, now);
        }
        return given;
    }
};

TEST_CASE("a lane at a tenth of its sibling's rate is given little, and tried again", "[unit]") {
    // 65 MB at 10 MB/s take 6.5 s: some 33 trials, besides what went before the rates were known.
    for (const bool any : {false, true}) {
        const auto given = Shares{.rate = {1e6, 10e6}, .any_plane = any}.of(4000);
        INFO("any plane: " << any << ", given " << given[0]);
        CHECK(given[0] >= 20);
        CHECK(given[0] <= 120);
    }
}

TEST_CASE("a lane that never has much on it at a time is measured all the same", "[unit]") {
    LaneChooser chooser(kTwoPlanes);
    Clock::time_point now{1s};
    for (int i = 0; i < 40; ++i) {
        chooser.post(0, kSlice, now);
        now += 1ms;
        chooser.complete(0, kSlice, now);
        now += 5ms;  // idle
    }
    CHECK(chooser.rate(0) == Approx(kSlice * 1000.0));
}

TEST_CASE("lanes of comparable rates share by rate", "[unit]") {
    const auto given = Shares{.rate = {5e6, 10e6}, .any_plane = true}.of(4000);
    CHECK(given[0] > 1200);
    CHECK(given[0] < 1470);
}

TEST_CASE("a full lane is passed over for one of its kind, never for a worse one", "[unit]") {
    const std::array<Lane, 3> lanes{Lane{.plane = 0, .path = 0}, Lane{.plane = 0, .path = 1},
                                    Lane{.plane = 1, .path = 0}};
    LaneChooser chooser(lanes);
    const Clock::time_point now{1s};
    const auto choose = [&](std::vector<std::uint32_t> full) {
        return chooser.choose(-1, 0, kSlice, now, full);
    };
    CHECK(choose({}) == 0U);
    CHECK(choose({0}) == 1U);
    CHECK(choose({0, 1}) == std::nullopt);  // plane 1 belongs to others
    chooser.kill(1);
    CHECK(choose({0}) == std::nullopt);
    chooser.kill(0);
    CHECK(choose({}) == 2U);
    CHECK(choose({2}) == std::nullopt);
}

TEST_CASE("a slow lane is tried ever more rarely, until it does well", "[unit]") {
    LaneChooser chooser(kTwoPlanes);
    Clock::time_point now{1s};
    Clock::duration takes = 40ms;  // a slice, on lane 1; 1 ms on lane 0
    int busy = 0;                  // slices on lane 0
    std::vector<Clock::time_point> tries;
    std::deque<Clock::time_point> due;  // on lane 1
    const auto go_on_for = [&](Clock::duration time) {
        tries.clear();
        for (const auto until = now + time; now < until; now += 1ms) {
            while (busy + due.size() < 64) {
                const auto lane = chooser.choose(-1, -1, kSlice, now);
                REQUIRE(lane);
                chooser.post(*lane, kSlice, now);
                busy += *lane == 0 ? 1 : 0;
                if (*lane == 0) continue;
                tries.push_back(now);
                due.push_back((due.empty() ? now : due.back()) + takes);
            }
            chooser.complete(0, kSlice, now);
            --busy;
            for (; !due.empty() && due.front() <= now; due.pop_front())
                chooser.complete(1, kSlice, now);
        }
    };
    go_on_for(4s);
    REQUIRE(chooser.slow(1));
    go_on_for(8s);
    CAPTURE(tries.size());
    REQUIRE(tries.size() >= 4);
    CHECK(tries.size() <= 8);
    CHECK(tries.back() - tries[tries.size() - 2] >= 1600ms);
    takes = 1ms;
    go_on_for(3s);
    CHECK_FALSE(chooser.slow(1));
    CHECK(tries.size() > 500);
}

TEST_CASE("a lane at two thirds of the best keeps its part of what is posted at once", "[unit]") {
    // As many bytes on each: a lane that was given less would deliver less, and be given still
    // less.
    LaneChooser chooser(kTwoPlanes);
    Clock::time_point now{1s};
    for (int i = 0; i < 200; ++i) {
        chooser.post(0, kSlice, now);
        chooser.post(1, kSlice, now);
    }
    for (int i = 0; i < 199; ++i) {
        now += 1ms;
        chooser.complete(0, kSlice, now);
        if (i % 3 != 0) chooser.complete(1, kSlice, now);
    }
    CHECK(chooser.rate(1) < 0.75 * chooser.rate(0));
    CHECK_FALSE(chooser.slow(1));
    LaneChooser fresh = chooser;
    for (int i = 0; i < 68; ++i) fresh.complete(1, kSlice, now);
    fresh.complete(0, kSlice, now);
    std::array<int, 2> given{};
    for (int i = 0; i < 100; ++i) {
        const auto lane = fresh.choose(-1, -1, kSlice, now);
        REQUIRE(lane);
        fresh.post(*lane, kSlice, now);
        ++given[*lane];
    }
    CHECK(given[0] == 50);
}

}  // namespace
}  // namespace weft::live
