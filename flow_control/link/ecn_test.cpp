#include "flow_control/link/ecn.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.hpp"

using namespace weft;

namespace {

double marked_share(const EcnProfile& p, Bytes queue, int draws) {
    RandomStream random{3, static_cast<std::uint64_t>(queue.count()), "marks"};
    int marked = 0;
    for (int n = 0; n < draws; ++n) marked += p.marks(queue, random.next()) ? 1 : 0;
    return static_cast<double>(marked) / draws;
}

}  // namespace

TEST_CASE("marks are as probable as the line between low and high says", "[property]") {
    EcnProfile p;
    p.on = true;
    p.low = 800_KiB;
    p.high = 3200_KiB;
    p.most_ppb = 200'000'000;
    for (int step = 1; step <= 8; ++step) {
        const Bytes queue = p.low + (p.high - p.low) * step / 8;
        const double expected = 0.2 * step / 8;
        // Four standard deviations of 20,000 draws.
        CHECK(std::abs(marked_share(p, queue, 20'000) - expected) <
              4 * std::sqrt(expected * (1 - expected) / 20'000));
    }
}

TEST_CASE("no mark at low, always above high, and a step between where they are one", "[unit]") {
    EcnProfile p;
    p.low = 100_KiB;
    p.high = 400_KiB;
    CHECK_FALSE(p.marks(500_KiB, 0));  // off
    p.on = true;
    CHECK_FALSE(p.marks(100_KiB, 0));
    CHECK(p.marks(100_KiB + 1_B, 0));
    CHECK_FALSE(p.marks(100_KiB + 1_B, ~0ULL));
    CHECK(p.marks(400_KiB, ~0ULL));  // most_ppb is 1
    CHECK(p.marks(400_KiB + 1_B, ~0ULL));
    p.most_ppb = 0;
    CHECK_FALSE(p.marks(400_KiB, 0));
    CHECK(p.marks(400_KiB + 1_B, ~0ULL));
    p.high = p.low;
    CHECK_FALSE(p.marks(100_KiB, 0));
    CHECK(p.marks(100_KiB + 1_B, ~0ULL));
}

TEST_CASE("marking does not overflow with the largest thresholds", "[unit]") {
    EcnProfile p;
    p.on = true;
    p.high = Bytes{std::int64_t{1} << 46};
    CHECK(p.marks(p.high - 1_B, 0));
    CHECK_FALSE(p.marks(p.high / 2, ~0ULL));
    CHECK(std::abs(marked_share(p, p.high / 2, 20'000) - 0.5) < 0.02);
}
