#include "topology/io/htsim/topo.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "tests/support/skip.hpp"
#include "topology/io/load.hpp"
#include "topology/routing/router.hpp"

using namespace weft;

namespace {

const std::string kThree = R"(# a comment
Nodes 16
tiers 3
PODSIZE 8

Tier 0
Downlink_speed_Gbps 100
Radix_Down 4   # hosts
Radix_Up 4
Downlink_Latency_ns 1000
Switch_Latency_ns 300
Oversubscribed 1

Tier 1
Downlink_speed_Gbps 100
Radix_Down 4
Radix_Up 2
Downlink_Latency_ns 500
Switch_Latency_ns 200
Bundle 2
Oversubscribed 1

Tier 2
Downlink_speed_Gbps 200
Radix_Down 2
Downlink_Latency_ns 2000
Queue_Down 100000
)";

std::string with(const std::string& from, const std::string& to) {
    std::string text = kThree;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

std::size_t switches(const Fabric& f, std::int32_t tier) {
    std::size_t n = 0;
    for (const Node& node : f.nodes()) n += node.kind == NodeKind::kSwitch && node.tier == tier;
    return n;
}

std::size_t cables(const Fabric& f, LinkKind kind) {
    std::size_t n = 0;
    for (const Link& l : f.links()) n += l.kind == kind;
    return n / 2;
}

}  // namespace

TEST_CASE("a .topo fat tree has the switches and cables that its radices give", "[unit]") {
    const Fabric f = htsim::read_topology(kThree, "t");
    CHECK(f.gpus().size() == 16);
    CHECK(switches(f, 1) == 4);
    CHECK(switches(f, 2) == 4);  // four uplinks of a ToR in bundles of two, in two pods
    CHECK(switches(f, 3) == 4);  // two for each aggregation switch of a pod
    CHECK(cables(f, LinkKind::kAccess) == 16);
    CHECK(cables(f, LinkKind::kFabric) == 16 + 8);
}

TEST_CASE("a path of a .topo tree has all links' and all switches' latencies", "[unit]") {
    const Fabric f = htsim::read_topology(kThree, "t");
    const Router router(f);
    // Host, ToR, aggregation, core, and down again; the core has no switch latency.
    const auto far = router.ecmp(router.edge(GpuId{0}, GpuId{15}), 1);
    REQUIRE(far);
    CHECK(latency(f, *far) == ns(2 * (1000 + 500 + 2000) + 2 * 300 + 2 * 200));
    const auto near = router.ecmp(router.edge(GpuId{0}, GpuId{3}), 1);
    REQUIRE(near);
    CHECK(latency(f, *near) == ns(2 * 1000 + 300));
}

TEST_CASE("a .topo file of which anything is wrong is refused by line and key", "[unit]") {
    const auto fails = [](const std::string& text, const std::string& words) {
        CHECK_THROWS_WITH(htsim::read_topology(text, "t.topo"), Catch::Contains(words));
    };
    fails(with("Nodes 16", "Nodes 15"), "t.topo:4: podsize: found \"8\"");
    fails(with("Nodes 16", "Nodes -3"), "t.topo:2: nodes");
    fails(with("Nodes 16", "Nodes 99999999999"), "t.topo:2: nodes");
    fails(with("Nodes 16\n", ""), "nodes: found \"nothing\"");
    fails(with("Nodes 16", "Nodes 16 17"), "one number after the key");
    fails(with("Radix_Down 4   #", "Radix_Down 3 #"), "a divisor of 8, the hosts of a pod");
    fails(with("Bundle 2", "Bundle 3"), "a divisor of 4, the uplinks of a ToR");
    fails(with("Radix_Down 2", "Radix_Down 4"), "expected 2, a bundle to every pod");
    fails(with("Oversubscribed 1", "Oversubscribed 2"), "400 Gbit/s down to 400 up");
    fails(with("Queue_Down 100000", "Radix_Up 4"), "uplinks of the top tier");
    fails(with("Queue_Down", "Queue_Sideways"), "queue_sideways");
    fails(with("Bundle 2", "Bundle 2\nbundle 2"), "each key once");
    fails(with("tiers 3", "tiers 2"), "t.topo:17: radix_up");
    fails(with("Tier 2", "Tier 1"), "each tier once");
    fails(kThree.substr(0, kThree.find("Tier 2")), "tier 2: found \"nothing\"");
    fails("", "nodes: found \"nothing\"");
}

TEST_CASE("the .topo files of the speed comparisons have their sizes", "[integration]") {
    struct Row {
        const char* file;
        std::size_t hosts, tors, aggs, cores;
    };
    for (const Row& row :
         {Row{"leaf_spine_tiny", 32, 4, 2, 0}, Row{"fat_tree_1024_1os", 1024, 128, 128, 64},
          Row{"fat_tree_8192_1os", 8192, 512, 512, 256},
          Row{"leaf_spine_8192_400g", 8192, 128, 64, 0},
          Row{"leaf_spine_8192_400g_8_to_1", 8192, 128, 8, 0}}) {
        WEFT_NEEDS_SHARED(path, std::string("speed/") + row.file + ".topo");
        const Fabric f = load_fabric(path.string());
        CHECK(f.gpus().size() == row.hosts);
        CHECK(switches(f, 1) == row.tors);
        CHECK(switches(f, 2) == row.aggs);
        CHECK(switches(f, 3) == row.cores);
    }
}
