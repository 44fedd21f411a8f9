#include "topology/io/yaml.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "topology/describe.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/load.hpp"
#include "topology/routing/router.hpp"

using namespace weft;

namespace {

constexpr const char* kLab = R"(
name: lab
ports: single
hosts:
  - {name: node, count: 4, gpus: 2, nics: 2, scale_up_rate: 450GB/s}
switches:
  - {name: leaf, count: 4, tier: 1}
  - {name: spine, count: 2, tier: 2}
links:
  - {from: node, to: leaf, rule: rail, hosts_per_switch: 2, rate: 400Gbps}
  - {from: leaf, to: spine, rate: 400Gbps, latency: 1us}
)";

std::string complaint(const std::string& yaml) {
    try {
        (void)parse_fabric(yaml, "f.yaml");
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("a file names a family and parameters", "[unit]") {
    const Fabric f = parse_fabric(
        "fabric: hpn7\nparameters:\n  segments: 2\n  hosts_per_segment: 4\n", "f.yaml");
    CHECK(f.gpus().size() == 64);
    const Fabric g = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=4");
    CHECK(f.digest() == g.digest());
}

TEST_CASE("a free form is built as it reads", "[unit]") {
    const Fabric f = parse_fabric(kLab, "f.yaml");
    CHECK(f.name() == "lab");
    CHECK(f.gpus().size() == 8);
    const Router router{f};
    const Edge same_leaf = router.edge(GpuId{0}, GpuId{2});
    CHECK(router.disjoint_paths(same_leaf, 0, 9).size() == 1);
    const Edge far = router.edge(GpuId{1}, GpuId{7});
    const auto routes = router.disjoint_paths(far, 0, 9);
    REQUIRE(routes.size() == 2);
    CHECK(latency(f, routes[0]) == us(3));
    CHECK(f.name_of(routes[0].links[1]) == "host[0].nic[1]:0 > tor[1]");
    CHECK(f.name_of(routes[0].links[4]) == "tor[3] > host[3].nic[1]");
}

TEST_CASE("a file says whether its scale-up switches reduce in network", "[unit]") {
    const auto reduces = [](const std::string& more) {
        std::string lab = kLab;
        lab.insert(lab.find(", scale_up_rate"), more);
        return summarize(parse_fabric(lab, "f.yaml")).in_network;
    };
    CHECK(reduces(""));
    CHECK_FALSE(reduces(", in_network: no"));
    CHECK_FALSE(reduces(", template: dgx-a100"));
    CHECK(reduces(", template: dgx-a100, in_network: yes"));
}

TEST_CASE("one GPU may own four NICs", "[unit]") {
    const Fabric f = parse_fabric(
        "name: live\nhosts:\n  - {name: h, count: 2, template: one-gpu-four-nics}\n"
        "switches:\n  - {name: s, count: 1, tier: 1}\n"
        "links:\n  - {from: h, to: s, rule: host, rate: 100Gbps}\n",
        "f.yaml");
    REQUIRE(f.gpus().size() == 2);
    CHECK(f.gpu(GpuId{0}).nics.size() == 4);
    const Router router{f};
    for (int rail = 0; rail < 4; ++rail) {
        const Edge e = router.edge(GpuId{0}, GpuId{1}, rail);
        CHECK(f.nic(e.src_nic).rail == rail);
        CHECK(f.nic(e.dst_nic).rail == rail);
        CHECK(router.ecmp(e, 9).has_value());
    }
}

TEST_CASE("hosts without NICs are out of reach of the others, not a crash", "[unit]") {
    const Fabric f = parse_fabric(
        "name: mixed\nhosts:\n  - {name: bare, count: 2, gpus: 2, nics: 0}\n"
        "  - {name: full, count: 1, gpus: 2}\nswitches:\n  - {name: s, count: 1, tier: 1}\n"
        "links:\n  - {from: full, to: s, rule: host, rate: 100Gbps}\n",
        "f.yaml");
    const Router router{f};
    const auto reach = [&](std::size_t a, std::size_t b) {
        const Edge e = router.edge(GpuId{a}, GpuId{b});
        CHECK(router.disjoint_paths(e, 0, 4).empty() == !router.ecmp(e, 1).has_value());
        return router.ecmp(e, 1).has_value();
    };
    CHECK(reach(0, 1));
    CHECK(reach(4, 5));
    CHECK_FALSE(reach(0, 2));
    CHECK_FALSE(reach(0, 4));
    CHECK_FALSE(reach(4, 0));
}

TEST_CASE("the health section takes cables down or slows them", "[unit]") {
    const Fabric f =
        parse_fabric(std::string(kLab) +
                         "health:\n"
                         "  down: [\"tor[1] > agg[0]\"]\n"
                         "  degraded:\n"
                         "    - {link: \"host[0].nic[0]:0 > tor[0]\", rate: 100Gbps}\n",
                     "f.yaml");
    const Health health{f};
    CHECK_FALSE(health.up(f.find_link("tor[1] > agg[0]")));
    CHECK_FALSE(health.up(f.find_link("agg[0] > tor[1]")));
    CHECK(health.rate(f.find_link("tor[0] > host[0].nic[0]")) == 100_Gbps);
    CHECK(f.digest() != parse_fabric(kLab, "f.yaml").digest());
    const Router router{f};
    CHECK(router.disjoint_paths(router.edge(GpuId{1}, GpuId{7}), 0, 9).size() == 1);
}

TEST_CASE("wrong files give one line that names file, line and key", "[unit]") {
    CHECK(complaint("fabric: hpn7\nparameters:\n  segmnts: 2\n") ==
          "f.yaml:3: fabric hpn7: found \"segmnts\", expected one of segments, for example pods=1");
    CHECK_THAT(complaint("fabric: hpn7\nparameters:\n  pods: 1\n  port_rate: 400\n"),
               Catch::StartsWith("f.yaml:4: fabric hpn7: port_rate: found \"400\""));
    CHECK_THAT(complaint("fabric: hpn7\nfabric: hpn7\n"), Catch::StartsWith("f.yaml:2: "));
    CHECK_THAT(complaint("fabric: hpn7\nhelth: {}\n"),
               Catch::StartsWith("f.yaml:2: helth: found \"an unknown key\", expected one of "
                                 "health"));
    CHECK_THAT(complaint("fabric: hpn7\nhealth:\n  down: [\"tor[999] > agg[0]\"]\n"),
               Catch::StartsWith("f.yaml:3: health.down: found \"tor[999] > agg[0]\""));
}

TEST_CASE("every kind of malformed file is refused", "[unit]") {
    const std::string deep(100, '[');
    const std::vector<std::string> bad = {
        "",
        "   \n",
        "just text",
        "- a\n- b\n",
        "fabric:\n",
        "fabric: [hpn7]\n",
        "fabric: hpn9\n",
        "fabric: hpn7\nparameters: 3\n",
        "fabric: hpn7\nparameters: {segments: [1]}\n",
        "fabric: hpn7\nparameters: {segments: -1}\n",
        "fabric: hpn7\nparameters: {segments: 1e3}\n",
        "fabric: hpn7\nparameters: {segments: 99999999999999999999}\n",
        "fabric: hpn7\nparameters: {port_rate: nanGbps}\n",
        "fabric: &a hpn7\n",
        "fabric: hpn7\nparameters: {segments: *a}\n",
        "fabric: !!str hpn7\n",
        deep,
        "fabric: hpn7\n---\nfabric: hpn7\n",
        std::string("fabric: hpn7\0\x01", 14),
        "{fabric: ",
        "fabric: hpn7\nhosts: []\n",
        "name: x\nhosts: []\n",
        "name: x\nhosts: 3\n",
        "name: x\nhosts: [{name: h, count: 0}]\n",
        "name: x\nhosts: [{name: h, count: 2}]\n",
        "name: x\nhosts: [{name: h, count: 2, template: dgx}]\n",
        "name: x\nhosts: [{name: h, count: 2, gpus: 3}]\n",
        "name: x\nhosts: [{name: h, count: 2, in_network: maybe}]\n",
        "name: x\nhosts: [{name: h, count: 2, gpus: 8, nics: 3}]\n",
        "name: x\nhosts: [{name: h, count: 999999, gpus: 1024}]\n",
        "name: x\nhosts: [{name: h, count: 1}]\nswitches: [{name: h, count: 1, tier: 1}]\n",
        "name: x\nhosts: [{name: h, count: 1}]\nlinks: [{from: h, to: s, rate: 1Gbps}]\n",
        "name: x\nhosts: [{name: h, count: 1}]\nswitches: [{name: s, count: 1, tier: 1}]\n"
        "links: [{from: h, to: s, rate: 1Gbps}]\n",
        "name: x\nports: dual-plane\nhosts: [{name: h, count: 1, gpus: 1}]\n"
        "switches: [{name: s, count: 1, tier: 1, plane: 1}]\n"
        "links: [{from: h, to: s, rate: 1Gbps}]\n",
        "name: x\nhosts: [{name: h, count: 1}]\nswitches: [{name: s, count: 8, tier: 1}]\n"
        "links: [{from: h, to: s, rate: 0Gbps}]\n",
        "name: x\nhosts: [{name: h, count: 1}]\nswitches: [{name: s, count: 8, tier: 4}]\n",
        std::string(kLab) + "health: {degraded: [{link: \"tor[1] > agg[0]\", rate: 900Gbps}]}\n",
        "? [a]\n: b\n",
    };
    for (const std::string& yaml : bad) {
        INFO(yaml.substr(0, 200));
        CHECK_THROWS_AS(parse_fabric(yaml, "f.yaml"), ConfigError);
        CHECK(complaint(yaml).find('\n') == std::string::npos);
    }
    CHECK_THROWS_AS(load_fabric("./no/such/file.yaml"), ConfigError);
    CHECK_THROWS_AS(load_fabric("."), ConfigError);
    CHECK_THROWS_AS(load_fabric("/"), ConfigError);
}

TEST_CASE("a host may say the rails of its NICs, their cables and whom they are near", "[unit]") {
    const Fabric f = parse_fabric(R"(
name: odd
hosts:
  - {name: a, count: 1, template: dgx-h100, gpus: 3, nics: 2, rails: [0, 2],
     nearest: [[1], [0, 1], [0]]}
  - {name: b, count: 2, gpus: 2, nics: 3, nearest: all}
switches:
  - {name: r0, count: 1, tier: 1}
  - {name: r1, count: 1, tier: 1}
  - {name: r2, count: 1, tier: 1}
links:
  - {from: a, to: r0, nic: 0, rate: 100Gbps}
  - {from: a, to: r2, nic: 1, rate: 200Gbps}
  - {from: b, to: r0, nic: 0, rate: 100Gbps}
  - {from: b, to: r1, nic: 1, rate: 100Gbps}
  - {from: b, to: r2, nic: 2, rate: 100Gbps}
)",
                                  "f.yaml");
    CHECK(f.nic(NicId{1}).rail == 2);
    CHECK(f.gpu(GpuId{0}).nics == std::vector<NicId>{NicId{1}});
    CHECK(f.gpu(GpuId{1}).nics == std::vector<NicId>{NicId{0}, NicId{1}});
    CHECK(f.gpu(GpuId{4}).nics.size() == 3);
    CHECK(f.link(f.nic(NicId{1}).ports.at(0)).capacity == Bandwidth{200'000'000'000});
    const Router router{f};
    CHECK(router.edges(GpuId{1}, GpuId{3}, kAny).size() == 2);  // rails 0 and 2
}

TEST_CASE("what is wrong with rails and neighbours is named", "[unit]") {
    const auto with = [](const std::string& host, const std::string& link = "") {
        return complaint("name: x\nhosts:\n  - {name: a, count: 1, gpus: 2, nics: 2, " + host +
                         "}\nswitches:\n  - {name: s, count: 2, tier: 1}\nlinks:\n" +
                         "  - {from: a, to: s, rate: 1Gbps" + link + "}\n");
    };
    CHECK(with("nearest: all") == "accepted");
    CHECK(with("rails: [0]").find("one for each of the 2 NICs") != std::string::npos);
    CHECK(with("rails: [0, -1]").find("a number below") != std::string::npos);
    CHECK(with("nearest: [[0]]").find("for each of the 2 GPUs") != std::string::npos);
    CHECK(with("nearest: [[0], [2]]").find("a number below 2") != std::string::npos);
    CHECK(with("nearest: [[0], [1, 1]]").find("each NIC once") != std::string::npos);
    CHECK(with("segment: 0", ", nic: 2").find("one of the host's 2 NICs") != std::string::npos);
}
