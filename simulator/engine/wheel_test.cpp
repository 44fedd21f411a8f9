#include "simulator/engine/wheel.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "base/rng.hpp"

using namespace weft;

namespace {

/// The same calendar as a sorted set of (time, source).
struct Plain {
    std::set<std::pair<std::int64_t, std::uint32_t>> events;
    std::map<std::uint32_t, std::int64_t> at;
    void set(std::uint32_t s, std::int64_t t) { events.emplace(t, s), at[s] = t; }
    void cancel(std::uint32_t s) {
        if (at.count(s) != 0) events.erase({at[s], s}), at.erase(s);
    }
};

/// From one picosecond to an hour, each scale alike.
std::int64_t span(RandomStream& r) {
    return static_cast<std::int64_t>(r.below(std::uint64_t{1} << r.below(52)));
}

}  // namespace

TEST_CASE("the wheel gives events in the order of a sorted set", "[property]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        RandomStream r(seed, 0, "wheel");
        constexpr std::uint32_t kSources = 60;
        Wheel wheel(kSources);
        Plain plain;
        for (int round = 0; round < 3000; ++round) {
            const auto source = static_cast<std::uint32_t>(r.below(kSources));
            const SimTime at = wheel.now() + ps(span(r));
            switch (r.below(4)) {
                case 0:
                    if (wheel.pending(source)) break;
                    wheel.set(source, at);
                    plain.set(source, at.ps());
                    break;
                case 1:
                    wheel.at_latest(source, at);
                    if (plain.at.count(source) == 0 || plain.at[source] > at.ps())
                        plain.cancel(source), plain.set(source, at.ps());
                    break;
                case 2:
                    if (r.below(4) != 0) break;
                    wheel.cancel(source);
                    plain.cancel(source);
                    break;
                default: {
                    std::uint32_t got = 0;
                    const bool some = wheel.next(got);
                    REQUIRE(some == !plain.events.empty());
                    if (!some) break;
                    REQUIRE(*plain.events.begin() == std::pair{wheel.now().ps(), got});
                    plain.cancel(got);
                }
            }
            REQUIRE(wheel.pending(source) == (plain.at.count(source) != 0));
        }
    }
}
