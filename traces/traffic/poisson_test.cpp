#include "traces/traffic/poisson.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

#include "base/result.hpp"
#include "base/rng.hpp"

using namespace weft;

namespace {

constexpr double kUnit = 1.0 / static_cast<double>(std::uint64_t{1} << 40);

double bytes_of(const FlowSet& set, std::uint16_t tag) {
    double sum = 0;
    for (const FlowSpec& f : set.flows)
        if (f.tag == tag) sum += static_cast<double>(f.size.count());
    return sum;
}

}  // namespace

TEST_CASE("the logarithm of integers is the logarithm", "[property]") {
    RandomStream r(1, 0, "ln");
    for (int i = 0; i < 5000; ++i) {
        const std::uint64_t bits = r.next() >> r.below(64);
        const double u = (static_cast<double>(bits) + 1) / 0x1p64;
        REQUIRE(static_cast<double>(traffic::minus_ln(bits)) * kUnit ==
                Approx(-std::log(u)).margin(2e-11));
    }
    CHECK(traffic::minus_ln(~std::uint64_t{0}) == 0);
    CHECK(static_cast<double>(traffic::minus_ln(0)) * kUnit == Approx(64 * std::log(2.0)));
}

TEST_CASE("Poisson traffic has its load, its gaps and its hosts", "[property]") {
    const traffic::SizeCdf sizes = traffic::read_cdf("1000 0\n3000 100\n", "f");
    const FlowSet set = traffic::poisson(
        sizes,
        {.hosts = 50, .rate = 100_Gbps, .load_ppb = 500'000'000, .duration = ms(1), .incast = {}});
    const double capacity = 50 * 100e9 / 8 * 1e-3;
    CHECK(bytes_of(set, kBackgroundTag) == Approx(0.5 * capacity).epsilon(0.01));
    // Gaps of one host: mean = deviation, as of an exponential distribution.
    std::map<std::uint32_t, double> last;
    double n = 0, sum = 0, squares = 0;
    std::map<std::uint32_t, int> from, to;
    SimTime before;
    for (const FlowSpec& f : set.flows) {
        REQUIRE(f.start >= before);
        before = f.start;
        REQUIRE(f.src != f.dst);
        ++from[f.src.value()], ++to[f.dst.value()];
        const auto at = static_cast<double>(f.start.ps());
        const auto known = last.find(f.src.value());
        if (known != last.end()) {
            n += 1, sum += at - known->second;
            squares += (at - known->second) * (at - known->second);
        }
        last[f.src.value()] = at;
    }
    const double mean = sum / n;
    CHECK(std::sqrt(squares / n - mean * mean) == Approx(mean).epsilon(0.02));
    const double each = static_cast<double>(set.flows.size()) / 50;
    for (const auto& [host, count] : to) CHECK(count == Approx(each).epsilon(0.1));
    CHECK(to.size() == 50);
    CHECK(from.size() == 50);
}

TEST_CASE("incasts come from as many distinct senders at once, at their load", "[property]") {
    const FlowSet set = traffic::generate(
        "websearch:load=0%,time=20ms,incast=16,incast_size=100KB,incast_load=10%", 64, 100_Gbps, 3);
    const double capacity = 64 * 100e9 / 8 * 20e-3;
    CHECK(bytes_of(set, kIncastTag) == Approx(0.1 * capacity).epsilon(0.1));
    REQUIRE(set.flows.size() % 16 == 0);
    for (std::size_t i = 0; i < set.flows.size(); i += 16) {
        std::set<std::uint32_t> senders;
        for (std::size_t k = i; k < i + 16; ++k) {
            REQUIRE(set.flows[k].dst == set.flows[i].dst);
            REQUIRE(set.flows[k].start == set.flows[i].start);
            senders.insert(set.flows[k].src.value());
        }
        REQUIRE(senders.size() == 16);
        REQUIRE(senders.count(set.flows[i].dst.value()) == 0);
    }
}

TEST_CASE("one seed gives one traffic, another one another", "[unit]") {
    const auto starts = [](std::uint64_t seed) {
        std::vector<std::int64_t> all;
        for (const FlowSpec& f : traffic::generate("websearch", 8, 100_Gbps, seed).flows)
            all.push_back(f.start.ps());
        return all;
    };
    CHECK(starts(1) == starts(1));
    CHECK(starts(1) != starts(2));
}

TEST_CASE("the first flows of a seed are these on every machine", "[golden]") {
    const FlowSet set = traffic::generate("websearch:time=2ms", 4, 100_Gbps, 1);
    REQUIRE(set.flows.size() >= 2);
    CHECK(set.flows[0].start.ps() == 36'016'316);
    CHECK(set.flows[0].size.count() == 1'298'164);
    CHECK(set.flows[1].start.ps() == 52'394'833);
}

TEST_CASE("a wrong generator is refused", "[unit]") {
    const auto fails = [](const char* text, const char* words) {
        CHECK_THROWS_WITH(traffic::generate(text, 8, 100_Gbps, 1), Catch::Contains(words));
    };
    fails("webserch", "websearch, or the file of a CDF");
    fails("websearch:lod=5%", "load");
    fails("websearch:load=101%", "load");
    fails("websearch:load", "load");
    fails("websearch:time=0", "time");
    fails("websearch:time=200s", "time");
    fails("websearch:incast=8", "fewer senders than the 8 hosts");
    fails("websearch:incast=2,incast_size=1B,time=100s", "flows");
    fails("nowhere/cdf.txt", "nowhere/cdf.txt");
}
