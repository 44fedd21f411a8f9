#include <catch2/catch.hpp>
#include <set>

#include "base/ids.hpp"
#include "base/registry.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"

using namespace weft;

TEST_CASE("a complaint is one line that names the place", "[unit]") {
    const Complaint c{"f.yaml", 3, "nic.rate", "400", "a rate", "400Gbps"};
    CHECK(to_string(c) ==
          "f.yaml:3: nic.rate: found \"400\", expected a rate, for example 400Gbps");
    CHECK(to_string(Complaint{"f\n", 1, "a\tb", {}, "x\r", {}}) ==
          "f\\x0a:1: a\\x09b: expected x\\x0d");
    CHECK(printable("a\nb\xff") == "a\\x0ab\\xff");
    const ConfigError placed = ConfigError({.expected = "x"}).at("g", 2, "k");
    CHECK(std::string{placed.what()} == "g:2: k: expected x");
}

TEST_CASE("random streams depend on seed, entity and name only", "[unit]") {
    RandomStream a{1, 2, "ecmp"}, b{1, 2, "ecmp"}, c{1, 3, "ecmp"}, d{1, 2, "jitter"};
    const auto x = a.next();
    CHECK(x == b.next());
    CHECK(x != c.next());
    CHECK(x != d.next());
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 200; ++i) seen.insert(a.below(7));
    CHECK(seen.size() == 7);
    CHECK(*seen.rbegin() == 6);
}

TEST_CASE("the registry suggests near names", "[unit]") {
    Registry<int> r{"algorithm"};
    r.add({.name = "ring", .description = {}, .source = {}, .parameters = {}}, 1);
    r.add({.name = "hierarchical", .description = {}, .source = {}, .parameters = {}}, 2);
    CHECK(r.at("ring").make == 1);
    CHECK_THROWS_WITH(r.at("hierarchicl"), Catch::Matchers::Contains("one of hierarchical,"));
    CHECK_THROWS_AS(r.add({.name = "ring", .description = {}, .source = {}, .parameters = {}}, 3),
                    Bug);
}

TEST_CASE("ids start out as none", "[unit]") {
    CHECK_FALSE(RankId{}.valid());
    CHECK(RankId{3} < RankId{4});
}
