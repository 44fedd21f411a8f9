// What holds of every registered algorithm, whatever it computes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <tuple>

#include "collectives/algorithms/algorithm.hpp"
#include "collectives/algorithms/double_tree.hpp"
#include "collectives/algorithms/ring_order.hpp"

using namespace weft;

namespace {

GroupShape hosts_of(std::size_t k, std::size_t g) {
    GroupShape s;
    s.n = k * g;
    s.per_host = g;
    s.hosts = k;
    return s;
}

const std::vector<GroupShape>& shapes() {
    static const std::vector<GroupShape> all{hosts_of(1, 1), hosts_of(2, 1), hosts_of(1, 3),
                                             hosts_of(7, 1), hosts_of(4, 2), hosts_of(3, 4),
                                             hosts_of(2, 8), hosts_of(5, 3)};
    return all;
}

template <class Body>
void for_each_plan(Body body) {
    for (const auto& row : builtin_algorithms().rows())
        for (const GroupShape& shape : shapes())
            for (const std::uint32_t channels : {0u, 1u, 3u}) {
                AlgorithmParams params;
                params.channels = channels;
                params.root = static_cast<std::uint32_t>(shape.n / 2);
                INFO(row.info.name << " n " << shape.n << " g " << shape.per_host << " channels "
                                   << channels);
                body(row.make.build(shape, params));
            }
}

}  // namespace

TEST_CASE("every send meets one receive of equal size", "[unit]") {
    for_each_plan([](const PlanTemplate& p) {
        const Binding b{1003, 4, false};
        for (std::size_t c = 0; c < p.channels.size(); ++c)
            for (std::size_t s = 0; s < p.channels[c].stages.size(); ++s) {
                using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;
                std::map<Key, std::uint64_t> sent;
                for (std::uint32_t r = 0; r < p.n; ++r)
                    for (std::uint32_t i = 0; i < send_count(p, c, s, r); ++i) {
                        const Transfer t = send_at(p, c, s, r, i);
                        CHECK(sent.emplace(Key{r, t.peer, t.ordinal}, elements(p, b, c, t.units))
                                  .second);
                    }
                for (std::uint32_t r = 0; r < p.n; ++r)
                    for (std::uint32_t i = 0; i < recv_count(p, c, s, r); ++i) {
                        const Transfer t = recv_at(p, c, s, r, i);
                        const auto it = sent.find(Key{t.peer, r, t.ordinal});
                        REQUIRE(it != sent.end());
                        if (p.collective != Collective::kAllReduce)
                            CHECK(it->second == elements(p, b, c, t.units));
                        sent.erase(it);
                    }
                CHECK(sent.empty());
            }
    });
}

TEST_CASE("an edge carries the sum of its transfers", "[unit]") {
    for_each_plan([](const PlanTemplate& p) {
        const Binding b{777, 4, false};
        for (std::size_t c = 0; c < p.channels.size(); ++c)
            for (std::size_t s = 0; s < p.channels[c].stages.size(); ++s)
                for (std::uint32_t r = 0; r < p.n; ++r) {
                    std::map<std::uint32_t, std::uint64_t> by_peer;
                    for (std::uint32_t i = 0; i < send_count(p, c, s, r); ++i) {
                        const Transfer t = send_at(p, c, s, r, i);
                        by_peer[t.peer] += elements(p, b, c, t.units);
                    }
                    REQUIRE(edge_count(p, c, s, r) == by_peer.size());
                    for (std::uint32_t e = 0; e < by_peer.size(); ++e)
                        CHECK(edge_elements(p, b, c, s, r, e) ==
                              by_peer.at(edge_at(p, c, s, r, e).dst));
                }
    });
}

TEST_CASE("channels and units cut the data without gap or overlap", "[unit]") {
    for_each_plan([](const PlanTemplate& p) {
        for (const std::uint64_t count : {0u, 1u, 5u, 1000u}) {
            const Binding b{count, 4, false};
            std::vector<int> hits(p.blocked() ? count * p.n : count, 0);
            for (std::size_t c = 0; c < p.channels.size(); ++c)
                for (std::uint32_t u = 0; u < p.channels[c].units; ++u) {
                    const ElementRange range = locate(p, b, c, u);
                    const Cut k = cut(p, b, c);
                    std::uint64_t at = range.begin;
                    for (std::uint32_t a = 0; a < k.slices; ++a) {
                        const ElementRange slice = slice_of(range, k, a);
                        CHECK(slice.begin == at);
                        at = slice.end;
                        for (std::uint64_t e = slice.begin; e < slice.end; ++e) ++hits[e];
                    }
                    CHECK(at == range.end);
                }
            CHECK(std::all_of(hits.begin(), hits.end(), [](int h) { return h == 1; }));
        }
    });
}

TEST_CASE("a ring leaves a host on the rail on which it enters the next", "[unit]") {
    for (const std::size_t k : {2u, 4u, 5u})
        for (std::uint32_t c = 0; c < 8; ++c) {
            const Partition p = algorithms::ring_order(hosts_of(k, 8), c);
            std::set<std::uint32_t> seen;
            std::size_t crossings = 0;
            for (std::uint32_t i = 0; i < p.size; ++i) {
                const std::uint32_t from = p.rank_at(0, i);
                const std::uint32_t to = p.rank_at(0, (i + 1) % p.size);
                seen.insert(from);
                CHECK(p.position(from) == i);
                if (from / 8 != to / 8 && from % 8 != to % 8) ++crossings;
            }
            CHECK(seen.size() == p.size);
            CHECK(crossings == k % 2);
        }
}

TEST_CASE("a ring that walks hosts the same way crosses rails at each", "[unit]") {
    for (const std::size_t k : {2u, 5u})
        for (std::uint32_t c = 0; c < 8; ++c) {
            const Partition p = algorithms::ring_order(hosts_of(k, 8), c, RingWalk::kSameWay);
            for (std::uint32_t i = 0; i < p.size; ++i) {
                const std::uint32_t from = p.rank_at(0, i);
                const std::uint32_t to = p.rank_at(0, (i + 1) % p.size);
                CHECK(to % 8 == (from + 1) % 8);
                CHECK((from / 8 != to / 8) == (to % 8 == c));
            }
        }
}

TEST_CASE("a leaf of one of the two trees is inner in the other", "[unit]") {
    Tree t;
    t.in_order = true;
    for (std::uint32_t k = 2; k <= 65; ++k) {
        std::vector<int> inner(k, 0);
        std::vector<std::uint32_t> root;
        for (const std::uint32_t tree : {0U, 1U}) {
            const std::vector<std::uint32_t> hosts = algorithms::tree_hosts(k, tree);
            root.push_back(hosts[0]);
            for (std::uint32_t x = 0; x < k; ++x) {
                if (tree_fan(t, x, k) > 0) ++inner[hosts[x]];
                for (std::uint32_t i = 0; i < tree_fan(t, x, k); ++i)
                    CHECK(tree_parent(t, tree_child(t, x, i, k), k) == x);
            }
        }
        INFO("k " << k);
        CHECK(root[0] != root[1]);
        // An odd number has one even node more than odd ones: host 0 is inner in both.
        CHECK(std::count(inner.begin(), inner.end(), 1) == k - k % 2);
        if (k % 2 == 1) CHECK(inner[0] == 2);
    }
}

TEST_CASE("trees between hosts stay on the channel's rail", "[unit]") {
    const PlanTemplate p = build_plan(Collective::kAllReduce, "tree", hosts_of(5, 4));
    REQUIRE(p.channels.size() == 8);
    for (std::size_t c = 0; c < p.channels.size(); ++c)
        for (std::uint32_t r = 0; r < p.n; ++r)
            for (std::uint32_t i = 0; i < send_count(p, c, 0, r); ++i) {
                const Transfer t = send_at(p, c, 0, r, i);
                if (t.peer / 4 == r / 4) continue;
                CHECK(r % 4 == c % 4);
                CHECK(t.peer % 4 == c % 4);
            }
}

TEST_CASE("hierarchical says why it refuses unequal hosts", "[unit]") {
    GroupShape s;
    s.n = 5;
    s.uniform = false;
    REQUIRE_THROWS_WITH(build_plan(Collective::kAllReduce, "hierarchical", s),
                        Catch::Contains("unequal hosts"));
    CHECK(build_plan(Collective::kAllReduce, "", s).algorithm == "allreduce/ring");
    REQUIRE_THROWS_AS(build_plan(Collective::kAllReduce, "rinng", s), ConfigError);
}

TEST_CASE("sizes round as nccl-tests rounds them", "[unit]") {
    const PlanTemplate p = build_plan(Collective::kAllGather, "ring", hosts_of(3, 1));
    const Binding b = bind_total(p, Bytes{1024}, 4);
    CHECK(b.count == 85);
    CHECK(total_size(p, b).count() == 85 * 3 * 4);
}
