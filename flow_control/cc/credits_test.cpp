#include "flow_control/cc/credits.hpp"

#include <catch2/catch.hpp>

#include "base/rng.hpp"

using namespace weft;

namespace {
constexpr CreditOptions kOptions{.line_rate = Bandwidth{400'000'000'000}};
}

TEST_CASE("credits go round robin at 99 % of the line", "[unit]") {
    CreditPacer pacer(kOptions);
    CHECK(pacer.timer() == SimTime::never());
    for (std::uint32_t s = 0; s < 3; ++s) pacer.wants(SimTime{}, s, Bytes{1'000'000'000});
    std::vector<Bytes> got(3);
    SimTime now;
    std::uint32_t before = 2;
    for (int i = 0; i < 3000; ++i) {
        now = pacer.timer();
        const auto g = pacer.grant(now);
        REQUIRE(g.has_value());
        CHECK(g->sender == (before + 1) % 3);
        before = g->sender;
        got[g->sender] += g->bytes;
        CHECK_FALSE(pacer.grant(now).has_value());
    }
    CHECK(got[0] == got[1]);
    CHECK(got[1] == got[2]);
    const double rate =
        static_cast<double>((got[0] * 3).count()) * 8e12 / static_cast<double>(pacer.timer().ps());
    CHECK(rate == Approx(0.99 * 400e9).epsilon(1e-6));
}

TEST_CASE("credit is never more than what was wanted, nor faster than the pace", "[property]") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        RandomStream r(seed, 0, "credits");
        CreditPacer pacer(kOptions);
        std::vector<Bytes> wanted(8), got(8);
        SimTime now;
        Bytes granted;
        for (int i = 0; i < 300; ++i) {
            now += ps(static_cast<std::int64_t>(r.below(400'000)));
            const auto s = static_cast<std::uint32_t>(r.below(8));
            if (r.below(3) == 0) {
                const Bytes more{static_cast<std::int64_t>(r.below(100'000))};
                wanted[s] += more;
                pacer.wants(now, s, more);
            } else if (r.below(20) == 0) {
                pacer.leaves(s);
                wanted[s] = got[s];
            } else if (const auto g = pacer.grant(now)) {
                granted += g->bytes;
                got[g->sender] += g->bytes;
                CHECK(got[g->sender] <= wanted[g->sender]);
            }
            CHECK(granted <= bytes_in(now - SimTime{}, kOptions.line_rate) + kOptions.quantum);
        }
        // Whoever still wants something gets it.
        while (pacer.timer() != SimTime::never()) {
            const auto g = pacer.grant(pacer.timer());
            REQUIRE(g.has_value());
            got[g->sender] += g->bytes;
        }
        CHECK(got == wanted);
    }
}

TEST_CASE("a sender spends its credit and no more than a packet beyond", "[unit]") {
    CreditAccount account(Bytes{10'000});
    int packets = 0;
    while (account.allows(Bytes{4096})) account.sent(Bytes{4096}), ++packets;
    CHECK(packets == 3);
    CHECK(account.left() == Bytes{10'000 - 3 * 4096});
    account.granted(Bytes{4096});
    CHECK(account.allows(Bytes{4096}));
}
