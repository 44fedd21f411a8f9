#include "topology/discover/processors/processors.hpp"

#include <catch2/catch.hpp>

using namespace weft;

TEST_CASE("sockets, cores and caches are counted", "[unit]") {
    if (!knows_processors()) return;
    const auto p = read_processors("pack:2 numa:1 l3:1 l2:4 l1d:1 core:1 pu:2");
    REQUIRE(p);
    CHECK(p->sockets == 2);
    CHECK(p->numa_nodes == 2);
    CHECK(p->cores == 8);
    CHECK(p->threads == 16);
    REQUIRE(p->caches.size() == 3);
    CHECK(p->caches[0].count == 8);
    CHECK(p->caches[2].level == 3);
    CHECK(p->caches[2].count == 2);
    CHECK(p->caches[2].cores_each == 4);
}

TEST_CASE("this machine has a core, and a bad description none", "[unit]") {
    const auto here = read_processors();
    REQUIRE(here.has_value() == knows_processors());
    if (!here) return;
    CHECK(here->threads >= 1);
    CHECK_FALSE(read_processors("nonsense"));
}
