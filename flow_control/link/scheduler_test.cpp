#include "flow_control/link/scheduler.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <vector>

#include "base/rng.hpp"

using namespace weft;

TEST_CASE("a strict class goes first, a paused one waits, an empty port sends nothing", "[unit]") {
    ClassScheduler two;
    CHECK(two.next(0b00, 0) == ClassScheduler::kNobody);
    CHECK(two.next(0b11, 0) == 0);
    CHECK(two.next(0b10, 0) == 1);
    CHECK(two.next(0b11, 0b01) == 1);
    CHECK(two.next(0b11, 0b11) == ClassScheduler::kNobody);
    ClassScheduler three{2, std::vector<std::uint32_t>{}, Bytes{1}};
    CHECK(three.next(0b11, 0) == 0);
    CHECK(three.next(0b10, 0) == 1);
}

TEST_CASE("shares of bytes converge to the weights whatever the packet sizes", "[property]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        INFO("seed " << seed);
        RandomStream random{seed, 0, "weights"};
        const std::size_t n = 2 + random.below(6);
        std::vector<std::uint32_t> weights;
        std::uint64_t total_weight = 0;
        for (std::size_t k = 0; k < n; ++k) {
            weights.push_back(static_cast<std::uint32_t>(1 + random.below(9)));
            total_weight += weights.back();
        }
        ClassScheduler scheduler{1, weights, Bytes{9216}};
        const unsigned all = ((1U << n) - 1) << 1;
        std::vector<std::int64_t> sent(n + 1);
        std::int64_t total = 0;
        for (int p = 0; p < 20'000; ++p) {
            const int cls = scheduler.next(all, 0);
            REQUIRE(cls >= 1);
            // Class 1 has small packets, the last large ones.
            const std::int64_t size =
                cls == 1 ? 64 : static_cast<std::int64_t>(1 + random.below(9216));
            scheduler.sent(cls, Bytes{size});
            sent[static_cast<std::size_t>(cls)] += size;
            total += size;
        }
        for (std::size_t k = 0; k < n; ++k) {
            const std::int64_t fair = total * weights[k] / static_cast<std::int64_t>(total_weight);
            // A quantum and a packet of this class, and as much of the turn of the others.
            CHECK(std::abs(sent[k + 1] - fair) <=
                  9216 * static_cast<std::int64_t>(2 * weights[k] + total_weight));
        }
    }
}

TEST_CASE("a class that was alone or paused neither starves nor is starved", "[unit]") {
    const std::vector<std::uint32_t> equal{1, 1};
    for (const unsigned backlog : {0b01U, 0b11U}) {  // alone; then the other one paused
        ClassScheduler scheduler{0, equal, Bytes{1000}};
        for (int n = 0; n < 10'000; ++n) {
            REQUIRE(scheduler.next(backlog, 0b10) == 0);
            scheduler.sent(0, Bytes{1000});
        }
        int lead = 0;
        for (int n = 0; n < 1000; ++n) {
            const int cls = scheduler.next(0b11, 0);
            scheduler.sent(cls, Bytes{1000});
            lead += cls == 0 ? 1 : -1;
            REQUIRE(std::abs(lead) <= 3);
        }
    }
}
