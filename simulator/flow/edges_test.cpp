#include "simulator/flow/edges.hpp"

#include <catch2/catch.hpp>

namespace weft::flow {
namespace {

TEST_CASE("the longest run takes the slowest consecutive hops around the ring", "[unit]") {
    const std::vector<Hop> ring{{ns(1), true}, {ns(5), false}, {ns(2), true}, {ns(9), false}};
    CHECK(longest_run(ring, 1).latency == ns(9));
    CHECK(longest_run(ring, 2).latency == ns(11));  // 2 then 9
    CHECK(longest_run(ring, 3).latency == ns(16));
    CHECK(longest_run(ring, 4).latency == ns(17));
    const Fill f = longest_run(ring, 9);
    CHECK(f.latency == ns(2 * 17 + 9));
    CHECK(f.network == 5);
    CHECK(f.scale_up == 4);
}

TEST_CASE("a ring stage walks every edge once with its units", "[unit]") {
    Stage s;
    s.cells.size = 3;
    s.cells.stride = 2;
    s.pattern = Ring{.first = 0, .direction = -1, .steps = 2, .chunks = {}};
    std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
    const Fill f = walk_edges(s, 6, [&](std::uint32_t a, std::uint32_t b, std::uint64_t units) {
        CHECK(units == 2);
        seen.emplace_back(a, b);
        return Hop{ns(a + 1), true};
    });
    CHECK(seen.size() == 6);
    CHECK(f.latency == ns(6 + 4));  // from 5 to 3, then from 3 to 1
}

TEST_CASE("a tree stage walks every edge once, up or down, and takes the slowest way", "[unit]") {
    for (const bool up : {false, true}) {
        Tree tree;
        tree.in_order = true;
        tree.chain = 2;
        tree.chunk_count = 3;
        tree.up = up;
        Stage s;
        s.cells.size = 10;  // nodes 0 > 4 > 2 > {1, 3}, each with one more rank
        s.pattern = tree;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
        const Fill f = walk_edges(s, 10, [&](std::uint32_t a, std::uint32_t b, std::uint64_t n) {
            CHECK(n == 3);
            const auto [from, to] = up ? std::pair{b, a} : std::pair{a, b};
            seen.emplace_back(from, to);
            return Hop{to == 5 ? ns(100) : ns(10), to % 2 == 1};
        });
        const std::vector<std::pair<std::uint32_t, std::uint32_t>> want{
            {0, 1}, {0, 8}, {8, 9}, {8, 4}, {4, 5}, {4, 2}, {4, 6}, {2, 3}, {6, 7}};
        CHECK(seen == want);
        CHECK(f.latency == ns(120));  // 0, 8, 4, 5
        CHECK(f.scale_up == 1);
        CHECK(f.network == 2);
    }
}

}  // namespace
}  // namespace weft::flow
