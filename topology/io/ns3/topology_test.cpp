#include "topology/io/ns3/topology.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "tests/support/skip.hpp"
#include "topology/io/load.hpp"
#include "topology/routing/router.hpp"

using namespace weft;

namespace {

// Two ToRs of two hosts under one spine; ids in the order that HPCC's star has them.
const std::string kTree = R"(7 3 6
0 3 6
1 0 100Gbps 1000ns 0.000000
2 0 100Gbps 1000ns 0.000000
4 3 100Gbps 0.001ms 0
5 3 100Gbps 1us 0
0 6 400Gbps 1000ns 0
3 6 400Gbps 1000ns 0.001
)";

// Two servers of two H100, two ToRs.
const std::string kServers = R"(8 2 2 2 8 H100
4 5 6 7 
0 4 2880Gbps 0.000025ms 0
1 4 2880Gbps 0.000025ms 0
2 5 2880Gbps 0.000025ms 0
3 5 2880Gbps 0.000025ms 0
0 6 400Gbps 0.0005ms 0
1 7 400Gbps 0.0005ms 0
2 6 400Gbps 0.0005ms 0
3 7 400Gbps 0.0005ms 0
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("an HPCC topology is its hosts, whatever their ids", "[unit]") {
    const ns3::Topology t = ns3::read_topology(kTree, "t");
    CHECK(t.fabric.gpus().size() == 4);
    CHECK_FALSE(t.gpu_of_node[0].valid());
    CHECK(t.gpu_of_node[1] == GpuId{0});
    CHECK(t.gpu_of_node[5] == GpuId{3});
    const Router router(t.fabric);
    const auto route = router.ecmp(router.edge(GpuId{0}, GpuId{3}), 1);
    REQUIRE(route);
    CHECK(latency(t.fabric, *route) == us(4));
    CHECK(bottleneck(t.fabric, *route) == 100_Gbps);
    CHECK(t.fabric.assumptions().back() ==
          "Error rates of 1 links are left out: they lose nothing.");
}

TEST_CASE("a SimAI topology has servers whose GPUs share an NVSwitch", "[unit]") {
    const Fabric f = ns3::read_topology(kServers, "t").fabric;
    CHECK(f.gpus().size() == 4);
    CHECK(f.hosts() == 2);
    const Router router(f);
    CHECK(router.edge(GpuId{0}, GpuId{1}).scale_up());
    const auto inside = router.ecmp(router.edge(GpuId{0}, GpuId{1}), 1);
    REQUIRE(inside);
    CHECK(latency(f, *inside) == ns(50));
    const auto rail = router.ecmp(router.edge(GpuId{1}, GpuId{3}), 1);
    REQUIRE(rail);
    CHECK(latency(f, *rail) == us(1));
}

TEST_CASE("an ns-3 topology of which anything is wrong is refused by line and key", "[unit]") {
    const auto fails = [](const std::string& text, const std::string& words) {
        CHECK_THROWS_WITH(ns3::read_topology(text, "t.txt"), Catch::Contains(words));
    };
    fails("", "t.txt:1: header");
    fails("7 3\n", "t.txt:1: header");
    fails("7 9 6\n", "t.txt:1: switches: found \"9\"");
    fails(with(kTree, "0 3 6", "0 3 3"), "t.txt:2: switch: found \"3\", expected each switch once");
    fails(with(kTree, "7 3 6", "7 3 5"), "nothing after the last link");
    fails(with(kTree, "7 3 6", "7 3 7"), "the end of the file");
    fails(with(kTree, "1 0 100Gbps", "1 0 100"), "t.txt:3: rate");
    fails(with(kTree, "1 0 100Gbps", "1 0 0Gbps"), "t.txt:3: rate");
    fails(with(kTree, "1000ns", "1000"), "t.txt:3: delay");
    fails(with(kTree, "1000ns", "-1000ns"), "t.txt:3: delay");
    fails(with(kTree, "0.001\n", "1.001\n"), "t.txt:8: error_rate");
    fails(with(kTree, "1 0 100", "1 1 100"), "t.txt:3: link: found \"1\", expected two nodes");
    fails(with(kTree, "1 0 100", "1 2 100"), "links between hosts");
    fails(with(kServers, "8 2 2 2 8", "8 3 2 2 8"), "gpus_per_server");
    fails(with(kServers, "1 4 2880", "1 5 2880"), "the NVSwitch of GPU 0");
    fails(with(kServers, "1 4 2880", "1 4 2000"), "all alike");
    fails(with(kServers, "1 4 2880", "6 4 2880"), "GPUs alone");
}

TEST_CASE("HPCC's fat tree is 320 hosts under 20 ToRs, 20 and 16 switches", "[integration]") {
    WEFT_NEEDS_SHARED(path, "simai/hpcc/fat.txt");
    const Fabric f = load_fabric(path.string());
    CHECK(f.gpus().size() == 320);
    std::size_t tier[4] = {};
    for (const Node& n : f.nodes())
        if (n.kind == NodeKind::kSwitch) ++tier[n.tier];
    CHECK(tier[1] == 20);
    CHECK(tier[2] == 20);
    CHECK(tier[3] == 16);
    const Router router(f);
    const auto far = router.ecmp(router.edge(GpuId{0}, GpuId{319}), 1);
    REQUIRE(far);
    CHECK(far->links.size() == 8);
}

TEST_CASE("SimAI's topologies are read", "[integration]") {
    struct Row {
        const char* file;
        std::size_t gpus, ports;
    };
    for (const Row& row : {Row{"AlibabaHPN_128g_8gps_DualToR_DualPlane_200Gbps_H100", 128, 2},
                           Row{"Spectrum-X_8g_8gps_400Gbps_H100", 8, 1},
                           Row{"DCN+DualToR_128g_8gps_200Gbps_H100", 128, 2},
                           Row{"Rail_Opti_SingleToR_32g_8gps_200Gbps_A100", 32, 1}}) {
        WEFT_NEEDS_SHARED(path, std::string("simai/topo/") + row.file);
        const Fabric f = load_fabric(path.string());
        CHECK(f.gpus().size() == row.gpus);
        CHECK(f.nics().front().ports.size() == row.ports);
    }
}
