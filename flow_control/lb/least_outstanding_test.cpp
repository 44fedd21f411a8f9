#include "flow_control/lb/least_outstanding.hpp"

#include <catch2/catch.hpp>

#include "base/check.hpp"
#include "base/rng.hpp"

using namespace weft;

TEST_CASE("equal lanes are taken in turn while nothing completes", "[unit]") {
    LeastOutstanding lb{{1, 1, 1}};
    for (std::size_t i = 0; i < 9; ++i) {
        const auto lane = lb.choose(1_KiB);
        REQUIRE(lane == i % 3);
        lb.post(*lane, 1_KiB);
    }
    lb.complete(1, 2_KiB);
    CHECK(lb.choose(1_KiB) == 1U);
}

TEST_CASE("bytes follow the weights, even when sizes differ", "[property]") {
    LeastOutstanding lb{{400, 200, 100}};
    RandomStream random{7, 0, "sizes"};
    std::int64_t total = 0;
    std::int64_t largest = 0;
    for (int i = 0; i < 5000; ++i) {
        const Bytes size{static_cast<std::int64_t>(1 + random.below(100000))};
        largest = std::max(largest, size.count());
        total += size.count();
        lb.post(*lb.choose(size), size);
    }
    // No lane is further from its share than one message of each other lane can put it.
    const std::int64_t weights[] = {400, 200, 100};
    for (std::size_t i = 0; i < 3; ++i)
        CHECK(std::abs(lb.outstanding(i).count() - total * weights[i] / 700) <= 3 * largest);
}

TEST_CASE("a slow lane gets less without anyone saying that it is slow", "[unit]") {
    LeastOutstanding lb{{1, 1}};
    int taken[2] = {0, 0};
    for (int tick = 0; tick < 900; ++tick) {
        const std::size_t lane = *lb.choose(1_B);
        ++taken[lane];
        lb.post(lane, 1_B);
        if (lb.outstanding(0) > 0_B) lb.complete(0, 1_B);                   // drains each tick
        if (tick % 3 == 0 && lb.outstanding(1) > 0_B) lb.complete(1, 1_B);  // a third of it
    }
    CHECK(taken[0] > taken[1]);
}

TEST_CASE("a dead lane is not chosen, gives back what it held, and comes back empty", "[unit]") {
    LeastOutstanding lb{{1, 1}};
    lb.post(0, 5_KiB);
    lb.post(1, 1_KiB);
    CHECK(lb.kill(1) == 1_KiB);
    CHECK_FALSE(lb.alive(1));
    CHECK(lb.choose(1_B) == 0U);
    lb.complete(1, 1_KiB);  // late completion of the fenced lane
    CHECK(lb.outstanding(1) == 0_B);
    CHECK(lb.kill(0) == 5_KiB);
    CHECK_FALSE(lb.choose(1_B).has_value());
    lb.revive(1);
    CHECK(lb.choose(1_B) == 1U);
}

TEST_CASE("misuse is a bug and says so", "[unit]") {
    CHECK_THROWS_AS(LeastOutstanding({1, 0}), Bug);
    LeastOutstanding lb{{1}};
    CHECK_THROWS_AS(lb.post(1, 1_B), Bug);
    CHECK_THROWS_AS(lb.complete(0, 1_B), Bug);
    CHECK_THROWS_AS(lb.revive(0), Bug);
    CHECK_FALSE(LeastOutstanding({}).choose(1_B).has_value());
}
