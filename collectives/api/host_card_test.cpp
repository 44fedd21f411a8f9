#include "collectives/api/host_card.hpp"

#include <catch2/catch.hpp>

#include "base/rng.hpp"

using namespace weft;
using namespace weft::live;

namespace {

HostMachine full() {
    HostMachine m;
    m.name = "node7";
    m.numa_nodes = 2;
    m.nvswitches = 4;
    for (const char* name : {"lo", "eth0", "eth1"}) {
        MachineNic n;
        n.name = name;
        n.driver = "mlx5_core";
        n.rdma = "mlx5_0";
        n.pci = "0000:1a:00.0";
        n.numa = 1;
        n.rate = Bandwidth{400'000'000'000};
        n.subnets = {"10.1.0.0/24", "fd00::/64"};
        m.nics.push_back(n);
    }
    m.nics[0].left_out = "loopback";
    MachineGpu g;
    g.pci = "0000:1b:00.0";
    g.vendor = 0x10de;
    g.device = 0x2335;
    g.numa = 0;
    g.pcie = Bandwidth{504'000'000'000};
    g.nearest = {1, 2};
    g.distance = Distance::kSwitch;
    m.gpus = {g, g};
    return m;
}

}  // namespace

TEST_CASE("a machine is told without what is no port", "[unit]") {
    const auto told = parse_machine(encode(full()));
    REQUIRE(told);
    CHECK(told->name == "node7");
    CHECK(told->numa_nodes == 2);
    CHECK(told->nvswitches == 4);
    REQUIRE(told->nics.size() == 2);
    CHECK(told->nics[0].name == "eth0");
    CHECK(told->nics[0].rdma == "mlx5_0");
    CHECK(told->nics[1].rate == Bandwidth{400'000'000'000});
    CHECK(told->nics[1].subnets.size() == 2);
    REQUIRE(told->gpus.size() == 2);
    CHECK(told->gpus[1].nearest == std::vector<std::uint32_t>{0, 1});
    CHECK(told->gpus[1].distance == Distance::kSwitch);
    CHECK(encode(*told) == encode(full()));
}

TEST_CASE("the largest machine fits a meeting", "[unit]") {
    HostMachine m = full();
    m.nics.assign(1000, m.nics[1]);
    for (MachineNic& n : m.nics) {
        n.name = n.driver = n.rdma = n.pci = std::string(300, 'x');
        n.subnets.assign(100, std::string(300, 'y'));
    }
    MachineGpu g = m.gpus[0];
    g.nearest.clear();
    for (std::uint32_t i = 0; i < 1000; ++i) g.nearest.push_back(i);
    g.pci = std::string(300, 'z');
    m.gpus.assign(1000, g);
    const std::vector<std::byte> bytes = encode(m);
    CHECK(bytes.size() < 50'000);
    REQUIRE(parse_machine(bytes));
    CHECK(parse_machine(bytes)->nics.size() == 64);
}

TEST_CASE("bytes that are no machine are refused, and none of them harms", "[unit]") {
    const std::vector<std::byte> good = encode(full());
    for (std::size_t n = 0; n < good.size(); ++n)
        CHECK_FALSE(parse_machine(std::span(good).first(n)));
    std::vector<std::byte> more = good;
    more.push_back(std::byte{0});
    CHECK_FALSE(parse_machine(more));
    RandomStream random(7, 0, "bytes");
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::byte> bad = good;
        for (int k = 0; k < 3; ++k) bad[random.below(bad.size())] = std::byte(random.below(256));
        const auto m = parse_machine(bad);
        if (!m) continue;
        CHECK(encode(*m) == bad);
        for (const MachineGpu& g : m->gpus)
            for (const std::uint32_t near : g.nearest) CHECK(near < m->nics.size());
    }
}

TEST_CASE("a presence says host and ports with the machine", "[unit]") {
    Presence p{.host = {}, .ports = {{"eth0", 1, 2, Bandwidth{5}}}, .machine = full()};
    p.host[3] = std::byte{9};
    const auto told = parse_presence(encode(p));
    REQUIRE(told);
    CHECK(told->host == p.host);
    REQUIRE(told->ports.size() == 1);
    CHECK(told->ports[0].rail == 1);
    CHECK(told->ports[0].plane == 2);
    p.ports[0].rail = -1;
    CHECK_FALSE(parse_presence(encode(p)));
    p.ports[0].rail = 10'000;
    CHECK_FALSE(parse_presence(encode(p)));
}

TEST_CASE("ranks fall into hosts in order of first rank", "[unit]") {
    std::vector<Presence> ranks(5);
    for (const std::size_t r : {1, 3}) ranks[r].host[0] = std::byte{1};
    ranks[4].host[0] = std::byte{2};
    ranks[1].machine.name = "second";
    std::vector<std::uint32_t> of_rank;
    const std::vector<SeenHost> hosts = hosts_of(ranks, &of_rank);
    CHECK(of_rank == std::vector<std::uint32_t>{0, 1, 0, 1, 2});
    REQUIRE(hosts.size() == 3);
    CHECK(hosts[0].ranks == 2);
    CHECK(hosts[1].machine.name == "second");
}
