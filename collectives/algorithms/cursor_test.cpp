// Cursors drive every algorithm on real data, in random order, with few slots.
#include "collectives/plan/cursor.hpp"

#include <catch2/catch.hpp>

#include "collectives/algorithms/algorithm.hpp"
#include "tests/support/plan_cluster.hpp"

using namespace weft;
using weft::testing::Cluster;

TEST_CASE("every algorithm computes its collective on data, whatever the schedule", "[unit]") {
    for (const auto& row : builtin_algorithms().rows())
        for (const std::size_t g : {1u, 3u})
            for (const std::size_t k : {1u, 2u, 3u}) {
                GroupShape shape;
                shape.n = k * g;
                shape.per_host = g;
                shape.hosts = k;
                AlgorithmParams params;
                params.channels = 2;
                params.slots = 1;
                params.slice = Bytes{128};
                params.root = static_cast<std::uint32_t>(shape.n - 1);
                const PlanTemplate plan = row.make.build(shape, params);
                for (const std::uint64_t count : {0u, 1u, 7u, 700u}) {
                    const Binding binding{count, 8, false};
                    INFO(row.info.name << " k " << k << " g " << g << " count " << count);
                    Cluster cluster(plan, binding, 7 * count + k);
                    REQUIRE(cluster.run());
                    CHECK(first_wrong(cluster, plan, binding) == plan.n);
                }
            }
}

TEST_CASE("next() starts nothing twice and stops at the slots", "[unit]") {
    GroupShape shape;
    shape.n = 2;
    shape.hosts = 2;
    AlgorithmParams params;
    params.slots = 3;
    params.slice = Bytes{64};
    const PlanTemplate plan = build_plan(Collective::kAllReduce, "ring", shape, params);
    Cursor cursor(plan, Binding{1024, 8, true}, 0);
    Operation ops[16];
    CHECK(cursor.next(ops) == 6);  // three sends and three receives
    CHECK(cursor.next(ops) == 0);
    CHECK_FALSE(cursor.done());
}
