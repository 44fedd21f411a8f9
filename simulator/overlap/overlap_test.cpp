#include "simulator/overlap/overlap.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

double times(const char* overlap, Pressure p) {
    const Slowdown s = slowdown(parse_overlap(overlap), p);
    return static_cast<double>(s.num) / static_cast<double>(s.den);
}

}  // namespace

TEST_CASE("132 blocks beside 24 of communication go from 80 to 47 % of peak", "[unit]") {
    // Forum 337991: about 80 and about 47 %; waves alone would say 80 / 2 = 40 %.
    CHECK(80 / times("sm", {1, 1}) == Approx(47.0).margin(0.1));
    CHECK(80 / times("sm:own=100%,memory=0%", {1, 1}) == Approx(40.0));
}

TEST_CASE("waves are what counts, not the SMs that are lost", "[unit]") {
    // All of the time on the SM, no memory: 108 SMs of 132 are free.
    CHECK(times("sm:own=90%,memory=0%,blocks=108", {1, 1}) == 1.0);
    CHECK(times("sm:own=90%,memory=0%,held=1", {1, 1}) == Approx(1.9));
    // 264 blocks: two waves alone, three beside: (0.9 x 3 + 0.1 x 2) / (0.9 x 2 + 0.1 x 2).
    CHECK(times("sm:own=90%,memory=0%,blocks=264", {1, 1}) == Approx(2.9 / 2));
    // Five collectives of 24 leave 12 SMs: 11 waves; six would leave none: one stays, 132 waves.
    CHECK(times("sm:own=90%,memory=0%", {5, 5}) == Approx(0.9 * 11 + 0.1));
    CHECK(times("sm:own=90%,memory=0%", {6, 6}) == Approx(0.9 * 132 + 0.1));
}

TEST_CASE("waiting holds SMs and no memory, copy engines memory and no SMs", "[unit]") {
    CHECK(times("sm", {}) == 1.0);
    CHECK(times("ideal", {3, 3}) == 1.0);
    CHECK(times("sm", {1, 0}) == Approx(1.527));
    CHECK(times("copy-engine", {1, 0}) == 1.0);
    CHECK(times("copy-engine", {1, 1}) == Approx(0.527 + 0.473 / 0.73));
    CHECK(times("copy-engine:own=0%,memory=50%", {9, 9}) == Approx(10.0));  // 90 % at most
}

TEST_CASE("overlap is read, and written so that it reads back", "[unit]") {
    for (const char* text : {"ideal", "sm:sms=108,blocks=216,held=16,own=60%,memory=30%",
                             "copy-engine:own=50%,memory=0%"})
        CHECK(to_string(parse_overlap(text)) == text);
    CHECK(parse_overlap(to_string(parse_overlap("sm"))) == parse_overlap("sm"));
    for (const char* bad : {"", "sn", "sm:", "sm:sms", "sm:sms=0", "sm:sms=-1", "sm:sms=99999999",
                            "sm:own=2", "sm:own=101%", "sm:memory=91%", "sm:held=1,held=2",
                            "copy-engine:held=2", "ideal:own=1%", "sm:own=1%,"})
        CHECK_THROWS_AS(parse_overlap(bad), ConfigError);
}
