#include "traces/traffic/cdf.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "base/result.hpp"
#include "tests/support/skip.hpp"

using namespace weft;

namespace {

/// The share as what at() takes.
std::uint64_t percent(std::uint64_t p) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(p) << 64) / 100) + (1U << 20);
}

}  // namespace

TEST_CASE("sizes lie on straight lines between the points of a CDF", "[unit]") {
    const traffic::SizeCdf cdf = traffic::read_cdf("0 0\n1000 50\n\n3000 100\n", "f");
    CHECK(cdf.at(0) == 1_B);
    CHECK(cdf.at(percent(25)) == 500_B);
    CHECK(cdf.at(percent(50)) == 1000_B);
    CHECK(cdf.at(percent(75)) == 2000_B);
    CHECK(cdf.at(~std::uint64_t{0}) == 2999_B);
    CHECK(cdf.twice_mean_ppb() == Int128{2'500} * 1'000'000'000);
}

TEST_CASE("sizes never fall as the share grows", "[property]") {
    const traffic::SizeCdf cdf = traffic::web_search();
    Bytes last;
    for (std::uint64_t i = 0; i < 4096; ++i) {
        const Bytes size = cdf.at(i << 52);
        REQUIRE(size >= last);
        last = size;
    }
    CHECK(last <= 30'000'000_B);
}

TEST_CASE("a CDF of which anything is wrong is refused by line and key", "[unit]") {
    const auto fails = [](const char* text, const char* words) {
        CHECK_THROWS_WITH(traffic::read_cdf(text, "f"), Catch::Contains(words));
    };
    fails("", "no points");
    fails("0 0\n", "a last point below 100");
    fails("0 0\n10 99\n", "a last point below 100");
    fails("0 5\n10 100\n", "f:1: percentage");
    fails("0 0\n10 50\n10 100\n", "f:3: point");
    fails("0 0\n10 50\n20 50\n", "f:3: point");
    fails("0 0\n10 101\n", "f:2: percentage");
    fails("0 0\n-10 100\n", "f:2: size");
    fails("0 0\n10\n", "f:2: point");
    fails("0 0\n10 inf\n", "f:2: percentage");
}

TEST_CASE("the web search distribution is HPCC's file", "[integration]") {
    WEFT_NEEDS_SHARED(path, "simai/hpcc/cdf/WebSearch_distribution.txt");
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    const traffic::SizeCdf file = traffic::read_cdf(text.str(), "f");
    const traffic::SizeCdf ours = traffic::web_search();
    REQUIRE(file.points().size() == ours.points().size());
    for (std::size_t i = 0; i < file.points().size(); ++i) {
        CHECK(file.points()[i].size == ours.points()[i].size);
        CHECK(file.points()[i].below_ppb == ours.points()[i].below_ppb);
    }
}
