#include "simulator/jitter/jitter.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "base/result.hpp"

using namespace weft;

TEST_CASE("jitter is read with units, and written so that it reads back", "[unit]") {
    const Jitter j = parse_jitter("noise=2%,stragglers=0.5%:15%,stalls=0.01%:20ms");
    CHECK(j.noise_ppb == 20'000'000);
    CHECK(j.straggler_ppb == 5'000'000);
    CHECK(j.slower_ppb == 150'000'000);
    CHECK(j.stall_ppb == 100'000);
    CHECK(j.stall == ms(20));
    CHECK(parse_jitter(to_string(j)) == j);
    CHECK_FALSE(parse_jitter("none").any());
    CHECK(to_string(Jitter{}) == "none");
}

TEST_CASE("jitter that cannot be meant is refused in one line", "[unit]") {
    for (const char* bad :
         {"", "noise", "noise=2", "noise=30%", "nois=2%", "noise=1%,noise=2%", "stragglers=1%",
          "stragglers=1%:2", "stragglers=101%:1%", "stragglers=1%:1%:1%", "stalls=1%:20",
          "stalls=1%:2h", "stalls=1e-4:20ms", "stalls=1%:3601s", "noise=2%,",
          "stragglers=1%:1001%"})
        CHECK_THROWS_AS(parse_jitter(bad), ConfigError);
    CHECK_THROWS_WITH(parse_jitter("nois=2%"),
                      "found \"nois\", expected one of noise, stragglers, stalls, for example "
                      "noise=2%,stragglers=0.5%:15%,stalls=0.01%:20ms");
}

TEST_CASE("noise has median 1, its sigma, and a longer side above", "[property]") {
    const Jitter j = parse_jitter("noise=10%");
    const SimDuration t = us(100);
    std::vector<double> x;
    double sum = 0;
    double squares = 0;
    constexpr int kDraws = 20'000;
    for (std::uint32_t rank = 0; rank < 20; ++rank)
        for (std::uint32_t op = 0; op < kDraws / 20; ++op) {
            const SimDuration d = RankJitter(j, 7, rank).of(op, t);
            x.push_back(static_cast<double>(d.ps()) / static_cast<double>(t.ps()));
            sum += x.back();
            squares += x.back() * x.back();
        }
    std::sort(x.begin(), x.end());
    const double mean = sum / kDraws;
    const double variance = squares / kDraws - mean * mean;
    // Log-normal: mean e^(s^2/2) = 1.00501, variance (e^(s^2) - 1) e^(s^2) = 0.010151; six standard
    // errors of each.
    CHECK(mean == Approx(1.00501).margin(6 * 0.1008 / 141.4));
    CHECK(variance == Approx(0.010151).epsilon(6 * 1.5 / 141.4));
    CHECK(x[kDraws / 2] == Approx(1.0).margin(0.006));
    // e^(+-0.1 x 2.326) at 1 and 99 %.
    CHECK(x[kDraws / 100] == Approx(0.7925).margin(0.012));
    CHECK(x[kDraws - kDraws / 100] == Approx(1.2619).margin(0.02));
}

TEST_CASE("a share of ranks straggles, and a share of ops stalls", "[property]") {
    const Jitter j = parse_jitter("stragglers=5%:20%,stalls=1%:3ms");
    int stragglers = 0;
    int stalls = 0;
    for (std::uint32_t rank = 0; rank < 4000; ++rank) {
        const RankJitter mine(j, 11, rank);
        stragglers += mine.straggles() ? 1 : 0;
        for (std::uint32_t op = 0; op < 5; ++op) {
            stalls += mine.stalls(op) ? 1 : 0;
            const SimDuration base = mine.straggles() ? us(120) : us(100);
            CHECK(mine.of(op, us(100)) == base + (mine.stalls(op) ? ms(3) : SimDuration{}));
        }
    }
    CHECK(std::abs(stragglers - 200) < 6 * 14);  // six standard deviations
    CHECK(std::abs(stalls - 200) < 6 * 14);
}

TEST_CASE("draws depend on seed, rank and op alone", "[property]") {
    const Jitter j = parse_jitter("noise=5%");
    const SimDuration t = ms(1);
    const SimDuration late = RankJitter(j, 1, 3).of(9, t);
    const RankJitter mine(j, 1, 3);
    (void)mine.of(2, t);
    CHECK(mine.of(9, t) == late);
    CHECK(RankJitter(j, 2, 3).of(9, t) != late);
    CHECK(RankJitter(j, 1, 4).of(9, t) != late);
    CHECK(mine.of(8, t) != late);
    CHECK(mine.of(9, SimDuration{}) == SimDuration{});
    // 30 days at most of compute stay within 63 bits.
    CHECK(mine.of(1, SimDuration{std::int64_t{30} * 86'400 * 1'000'000'000'000}) > ms(1));
}
