#include "topology/discover/cluster.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <functional>

#include "base/result.hpp"
#include "topology/io/yaml.hpp"
#include "topology/routing/router.hpp"

using namespace weft;

namespace {

MachineNic port(const std::string& name, const std::string& subnet,
                Bandwidth rate = Bandwidth{100'000'000'000}, const std::string& pci = {}) {
    MachineNic n;
    n.name = name;
    n.pci = pci;
    n.rate = rate;
    n.subnets = {subnet};
    return n;
}

SeenHost host(std::vector<MachineNic> nics, std::uint32_t ranks = 1) {
    SeenHost h;
    h.machine.name = "node";
    h.machine.nics = std::move(nics);
    h.ranks = ranks;
    return h;
}

Fabric fabric_of(const std::vector<SeenHost>& hosts) {
    return parse_fabric(describe_cluster(hosts), "discovered");
}

std::string complaint(const std::function<void()>& f) {
    try {
        f();
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("ports of one subnet are one rail", "[unit]") {
    const std::vector<SeenHost> hosts(
        3, host({port("ens1", "10.1.0.0/24"), port("ens2", "10.2.0.0/24")}));
    const Fabric f = fabric_of(hosts);
    CHECK(f.hosts() == 3);
    CHECK(f.nics().size() == 6);
    CHECK(f.port_mode() == PortMode::kSingle);
    const Router router{f};
    CHECK(router.edges(GpuId{0}, GpuId{2}, kAny).size() == 2);
    const auto routes = router.disjoint_paths(router.edge(GpuId{0}, GpuId{2}, 1), 0, 4);
    REQUIRE(routes.size() == 1);
    CHECK(f.name_of(routes[0].links[1]) == "host[0].nic[1]:0 > tor[1]");
    CHECK(f.link(routes[0].links[1]).capacity == Bandwidth{100'000'000'000});
}

TEST_CASE("two ports of a card are the planes of a rail", "[unit]") {
    const std::vector<SeenHost> hosts(2, host({port("a0", "10.1.0.0/24", 1_Gbps, "0000:1a:00.0"),
                                               port("a1", "10.2.0.0/24", 1_Gbps, "0000:1a:00.1"),
                                               port("b0", "10.3.0.0/24", 1_Gbps, "0000:2a:00.0"),
                                               port("b1", "10.4.0.0/24", 1_Gbps, "0000:2a:00.1")}));
    const std::vector<PlacedPort> ports = place_ports(hosts);
    REQUIRE(ports.size() == 8);
    CHECK(ports[3].name == "b1");
    CHECK(ports[3].rail == 1);
    CHECK(ports[3].plane == 1);
    const Fabric f = fabric_of(hosts);
    CHECK(f.port_mode() == PortMode::kDualPlane);
    CHECK(f.nics().size() == 4);
    CHECK(f.nic(NicId{0}).ports.size() == 2);
    const GroupShape shape = shape_of(f, packed_placement(f, 2), {RankId{0}, RankId{1}});
    CHECK(shape.planes == 2);
    CHECK(shape.nics_per_rank == 2);
}

TEST_CASE("names of rails and planes count, in whatever order ports are listed", "[unit]") {
    const std::vector<SeenHost> hosts(
        4, host({port("r0p0", "10.40.0.0/24"), port("r0p1", "10.42.0.0/24"),
                 port("r1p0", "10.41.0.0/24"), port("r1p1", "10.43.0.0/24")}));
    const Fabric f = fabric_of(hosts);
    CHECK(f.port_mode() == PortMode::kDualPlane);
    CHECK(f.nics().size() == 8);
    // The fabric that `weft validate --live` describes by hand, but for rates and latencies.
    const Fabric by_hand = parse_fabric(R"(
name: namespaces
ports: dual-plane
hosts:
  - {name: host, count: 4, template: one-gpu-four-nics, nics: 2}
switches:
  - {name: plane0, count: 2, tier: 1, plane: 0}
  - {name: plane1, count: 2, tier: 1, plane: 1}
links:
  - {from: host, to: plane0, rule: rail, rate: 100Gbps}
  - {from: host, to: plane1, rule: rail, rate: 100Gbps}
)",
                                        "by hand");
    REQUIRE(f.links().size() == by_hand.links().size());
    CHECK(f.nodes().size() == by_hand.nodes().size());
    for (std::size_t l = 0; l < f.links().size(); ++l) {
        const LinkId id{l};
        if (f.link(id).kind == LinkKind::kAccess) CHECK(by_hand.find_link(f.name_of(id)).valid());
        CHECK(f.link(id).rail == by_hand.link(by_hand.find_link(f.name_of(id))).rail);
        CHECK(f.link(id).plane == by_hand.link(by_hand.find_link(f.name_of(id))).plane);
    }
}

TEST_CASE("a job's own rails and planes win", "[unit]") {
    std::vector<SeenHost> hosts(
        2, host({port("x", "10.1.0.0/16", 1_Gbps), port("y", "10.1.0.0/16", 2_Gbps)}));
    for (SeenHost& h : hosts)
        h.ports = {{.name = "x", .rail = 0, .plane = 0, .rate = {}},
                   {.name = "y", .rail = 0, .plane = 1, .rate = {}}};
    const Fabric f = fabric_of(hosts);
    CHECK(f.port_mode() == PortMode::kDualPlane);
    REQUIRE(f.nics().size() == 2);
    CHECK(f.link(f.nic(NicId{0}).ports[1]).capacity == 2_Gbps);
    CHECK(f.link(f.nic(NicId{0}).ports[0]).to != f.link(f.nic(NicId{0}).ports[1]).to);
}

TEST_CASE("several ports in one subnet are a rail each, on one switch", "[unit]") {
    const std::vector<SeenHost> hosts(2,
                                      host({port("x", "10.1.0.0/16"), port("y", "10.1.0.0/16")}));
    const std::vector<PlacedPort> ports = place_ports(hosts);
    CHECK(ports[1].rail == 1);
    const Fabric f = fabric_of(hosts);
    CHECK(f.link(f.nic(NicId{0}).ports[0]).to == f.link(f.nic(NicId{3}).ports[0]).to);
}

TEST_CASE("cables that are routed one by one are rails by position", "[unit]") {
    std::vector<SeenHost> hosts;
    for (int h = 0; h < 3; ++h)
        hosts.push_back(host({port("x", fmt::format("10.0.{}.0/31", h)),
                              port("y", fmt::format("10.1.{}.0/31", h))}));
    const Fabric f = fabric_of(hosts);
    const Router router{f};
    CHECK(router.edges(GpuId{0}, GpuId{2}, kAny).size() == 2);
    CHECK(describe_cluster(hosts).find("\"net port 1\"") != std::string::npos);
}

TEST_CASE("hosts that differ are groups of their own", "[unit]") {
    std::vector<SeenHost> hosts(2, host({port("x", "10.1.0.0/24"), port("y", "10.2.0.0/24")}));
    hosts.push_back(host({port("q", "10.2.0.0/24", 25_Gbps)}, 3));
    hosts.push_back(host({}, 2));
    const Fabric f = fabric_of(hosts);
    CHECK(f.hosts() == 4);
    CHECK(f.gpus().size() == 7);
    REQUIRE(f.nics().size() == 5);
    CHECK(f.nic(NicId{4}).rail == 1);
    CHECK(f.gpu(GpuId{4}).nics == std::vector<NicId>{NicId{4}});
    CHECK(f.gpu(GpuId{6}).nics.empty());
    const Router router{f};
    CHECK(f.nic(router.edge(GpuId{0}, GpuId{3}, 1).src_nic).rail == 1);
}

TEST_CASE("what no driver says is assumed, and the file says so", "[unit]") {
    const std::vector<SeenHost> hosts(
        2, host({port("x", "10.1.0.0/24", Bandwidth{}), port("y", "10.2.0.0/24", 25_Gbps)}));
    const std::string text = describe_cluster(hosts);
    CHECK(text.find("the rate of x") != std::string::npos);
    CHECK(place_ports(hosts)[0].rate == 25_Gbps);
    CHECK(place_ports(hosts)[0].rate_assumed);
    CHECK_FALSE(place_ports(hosts)[1].rate_assumed);
}

TEST_CASE("GPUs are those of the host where it has enough of them", "[unit]") {
    SeenHost h = host({port("x", "10.1.0.0/24"), port("y", "10.2.0.0/24")}, 2);
    for (std::uint32_t g = 0; g < 4; ++g) {
        MachineGpu gpu;
        gpu.vendor = 0x10de;
        gpu.device = 0x2335;
        gpu.nearest = {g < 2 ? 1U : 0U};
        gpu.distance = Distance::kSwitch;
        h.machine.gpus.push_back(gpu);
    }
    const std::vector<SeenHost> hosts(2, h);
    const Fabric f = fabric_of(hosts);
    CHECK(f.gpus().size() == 8);
    CHECK(f.gpu(GpuId{0}).nics == std::vector<NicId>{NicId{1}});
    CHECK(f.gpu(GpuId{7}).nics == std::vector<NicId>{NicId{2}});
    CHECK(f.link(f.out(f.gpu(GpuId{0}).node)[0]).capacity == 450_GBps);  // a dgx-h200's
    const Placement p = seat_ranks(f, {0, 0, 1, 1}, "f.yaml");
    CHECK(p.gpu(RankId{2}) == GpuId{4});
    std::vector<SeenHost> crowded(2, h);
    for (SeenHost& c : crowded) c.ranks = 5;
    CHECK(fabric_of(crowded).gpus().size() == 10);
}

TEST_CASE("ranks that come in turns have their places on their hosts", "[unit]") {
    const std::vector<SeenHost> hosts(2, host({port("x", "10.1.0.0/24")}, 2));
    const Placement p = seat_ranks(fabric_of(hosts), {0, 1, 0, 1}, "f.yaml");
    CHECK(p.gpu_of == std::vector<GpuId>{GpuId{0}, GpuId{2}, GpuId{1}, GpuId{3}});
}

TEST_CASE("a fabric that does not fit the job says how", "[unit]") {
    const std::vector<SeenHost> hosts(2, host({port("x", "10.1.0.0/24")}, 2));
    const Fabric f = fabric_of(hosts);
    const auto seats = [&](const Fabric& g, const std::vector<std::uint32_t>& of) {
        return complaint([&] { (void)seat_ranks(g, of, "f.yaml"); });
    };
    CHECK(seats(f, {0, 1}) == "accepted");
    CHECK(seats(f, {0, 1, 2}).find("a job on 3 hosts or more\", expected at most 2") !=
          std::string::npos);
    CHECK(seats(f, {0, 0, 0}).find("3 ranks or more on host 0") != std::string::npos);
    const Fabric wide = parse_fabric(
        "fabric: hosts\nparameters: {template: gb200-tray, hosts: 2, hosts_per_domain: 2}\n", "w");
    CHECK(seats(wide, {0, 1}).find("one scale-up domain") != std::string::npos);
    const auto checks = [&](std::int32_t rail, std::int32_t plane) {
        return complaint([&] {
            check_port(f, 1, {.name = "eth9", .rail = rail, .plane = plane, .rate = {}}, "f.yaml");
        });
    };
    CHECK(checks(0, 0) == "accepted");
    CHECK(checks(1, 0).find("eth9 on rail 1, plane 0") != std::string::npos);
    CHECK(checks(0, 1).find("r0p0") != std::string::npos);
}
