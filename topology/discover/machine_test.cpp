#include "topology/discover/machine.hpp"

#include <catch2/catch.hpp>

#include "tests/support/made_up_sysfs.hpp"

using namespace weft;
using tests::MadeUpSysfs;

namespace {

const MachineNic& nic_of(const HostMachine& m, const std::string& name) {
    for (const MachineNic& n : m.nics)
        if (n.name == name) return n;
    FAIL("no NIC " << name);
    return m.nics.front();
}

}  // namespace

TEST_CASE("a subnet is what an address and its mask have in common", "[unit]") {
    CHECK(subnet_of({"x", "10.40.0.7", 24}) == "10.40.0.0/24");
    CHECK(subnet_of({"x", "10.255.7.9", 12}) == "10.240.0.0/12");
    CHECK(subnet_of({"x", "192.0.2.1", 31}) == "192.0.2.0/31");
    CHECK(subnet_of({"x", "fd00:1:2:3::9", 64}) == "fd00:1:2:3::/64");
    for (const InterfaceAddress& a : std::vector<InterfaceAddress>{{"x", "169.254.1.1", 16},
                                                                   {"x", "127.0.0.1", 8},
                                                                   {"x", "fe80::1", 64},
                                                                   {"x", "10.0.0.1", 33},
                                                                   {"x", "10.0.0.1", 0},
                                                                   {"x", "10.0.0.1", -5},
                                                                   {"x", "ten", 24},
                                                                   {"x", "", 24}})
        CHECK(subnet_of(a).empty());
}

TEST_CASE("ports have rate, driver, place and subnets", "[unit]") {
    MadeUpSysfs sys;
    sys.nic("eth0", "pci0000:00/0000:00:02.0/0000:1a:00.0", "mlx5_core", "100000", 1);
    sys.nic("eth1", "pci0000:80/0000:80:02.0/0000:9a:00.0", "mlx5_core", "-1");
    sys.file("devices/pci0000:80/0000:80:02.0/0000:9a:00.0/infiniband/mlx5_7/ports/1/rate",
             "400 Gb/sec (4X NDR)\n");
    sys.nic("eth2", "pci0000:80/0000:80:03.0/0000:9b:00.0", "virtio_net", "");
    const HostMachine m = read_machine(sys.root(),
                                       {{"eth0", "10.1.0.5", 24},
                                        {"eth1", "fd00:2::5", 64},
                                        {"eth1", "10.2.0.5", 24},
                                        {"eth2", "10.3.0.5", 24},
                                        {"eth0", "fe80::1", 64}},
                                       "node 7");
    CHECK(m.name == "node?7");
    REQUIRE(m.nics.size() == 3);
    CHECK(m.nics[0].rate == Bandwidth{100'000'000'000});
    CHECK(m.nics[0].driver == "mlx5_core");
    CHECK(m.nics[0].pci == "0000:1a:00.0");
    CHECK(m.nics[0].path == "pci0000:00/0000:00:02.0/0000:1a:00.0");
    CHECK(m.nics[0].numa == 1);
    CHECK(m.nics[0].subnets == std::vector<std::string>{"10.1.0.0/24"});
    CHECK(m.nics[0].left_out.empty());
    CHECK(m.nics[1].rdma == "mlx5_7");
    CHECK(m.nics[1].rate == Bandwidth{400'000'000'000});
    CHECK(m.nics[1].subnets == std::vector<std::string>{"10.2.0.0/24", "fd00:2::/64"});
    CHECK(m.nics[2].rate == Bandwidth{});  // a NIC without speed is still a port
    CHECK(m.nics[2].left_out.empty());
}

TEST_CASE("what is no port of the network is left out, and why is said", "[unit]") {
    MadeUpSysfs sys;
    sys.nic("eth0", "pci0000:00/0000:00:02.0/0000:1a:00.0", "e1000", "1000");
    sys.nic("eth1", "pci0000:00/0000:00:02.0/0000:1a:00.1", "e1000", "1000");
    sys.nic("eth2", "pci0000:00/0000:00:02.0/0000:1a:00.2", "e1000", "1000");
    sys.nic("eth3", "pci0000:00/0000:00:02.0/0000:1a:00.3", "e1000", "1000");
    sys.file("class/net/eth2/flags", "0x1002\n");
    sys.file("class/net/eth3/carrier", "0\n");
    sys.nic("lo", "", "", "");
    sys.file("class/net/lo/type", "772\n");
    sys.nic("eth0.7", "", "", "1000");
    sys.file("class/net/eth0.7/uevent", "INTERFACE=eth0.7\nDEVTYPE=vlan\nIFINDEX=9\n");
    sys.nic("br0", "", "", "1000");
    sys.file("class/net/br0/bridge/stp_state", "0\n");
    sys.nic("tun0", "", "", "10");
    sys.file("class/net/tun0/tun_flags", "0x1\n");
    sys.nic("veth1", "", "", "10000");
    sys.nic("bond0", "", "", "2000");
    sys.file("class/net/bond0/bonding/mode", "802.3ad 4\n");
    sys.file("class/net/bond0/uevent", "DEVTYPE=bond\n");
    sys.nic("eth4", "pci0000:00/0000:00:03.0/0000:1b:00.0", "e1000", "1000");
    sys.link("class/net/eth4/master", "../bond0");
    sys.file("class/net/bonding_masters", "bond0\n");
    std::vector<InterfaceAddress> addresses;
    for (const char* name :
         {"eth0", "eth2", "eth3", "lo", "eth0.7", "br0", "tun0", "veth1", "bond0", "eth4"})
        addresses.push_back({name, "10.0.0.1", 24});
    const HostMachine m = read_machine(sys.root(), addresses, "host");
    CHECK(nic_of(m, "eth0").left_out.empty());
    CHECK(nic_of(m, "bond0").left_out.empty());
    CHECK(nic_of(m, "eth1").left_out == "no address");
    CHECK(nic_of(m, "eth2").left_out == "down");
    CHECK(nic_of(m, "eth3").left_out == "no carrier");
    CHECK(nic_of(m, "lo").left_out == "loopback");
    CHECK(nic_of(m, "eth0.7").left_out == "VLAN");
    CHECK(nic_of(m, "br0").left_out == "bridge");
    CHECK(nic_of(m, "tun0").left_out == "tunnel");
    CHECK(nic_of(m, "veth1").left_out == "virtual");
    CHECK(nic_of(m, "eth4").left_out == "part of bond0");
    CHECK(m.nics.size() == 11);
}

TEST_CASE("where every port is virtual, they are the ports", "[unit]") {
    MadeUpSysfs sys;
    sys.nic("r0p0", "", "", "10000");
    const HostMachine m = read_machine(sys.root(), {{"r0p0", "10.40.0.1", 24}}, "h");
    REQUIRE(m.nics.size() == 1);
    CHECK(m.nics[0].left_out.empty());
    CHECK(m.nics[0].driver.empty());
}

TEST_CASE("an interface without a folder is known by its addresses", "[unit]") {
    MadeUpSysfs sys;
    sys.nic("eth0", "", "", "1000");
    const HostMachine m = read_machine(
        sys.root(), {{"eth1", "10.1.0.1", 24}, {"eth1", "fd00::1", 64}, {"lo", "127.0.0.1", 8}},
        "h");
    REQUIRE(m.nics.size() == 2);
    CHECK(m.nics[0].left_out == "no address");
    CHECK(m.nics[1].name == "eth1");
    CHECK(m.nics[1].left_out.empty());
    CHECK(m.nics[1].subnets.size() == 2);
}

TEST_CASE("a GPU's nearest NICs are behind its own switch", "[unit]") {
    MadeUpSysfs sys;
    sys.nic("eth0", "pci0000:10/0000:10:01.0/0000:11:00.0/0000:13:00.0", "mlx5_core", "400000", 0);
    sys.nic("eth1", "pci0000:10/0000:10:02.0/0000:21:00.0/0000:23:00.0", "mlx5_core", "400000", 0);
    sys.nic("eth2", "pci0000:90/0000:90:01.0/0000:91:00.0", "mlx5_core", "400000", 1);
    sys.gpu("pci0000:10/0000:10:01.0/0000:11:00.0/0000:14:00.0", 0x10de, 0x2335, 0);
    sys.gpu("pci0000:10/0000:10:02.0/0000:21:00.0/0000:24:00.0", 0x10de, 0x2335, 0);
    sys.gpu("pci0000:10/0000:10:05.0/0000:51:00.0", 0x10de, 0x2335, 0);
    sys.gpu("pci0000:a0/0000:a0:01.0/0000:a1:00.0", 0x10de, 0x2335, 1);
    sys.gpu("pci0000:b0/0000:b0:01.0/0000:b1:00.0", 0x10de, 0x2335, -1);
    sys.device("pci0000:00/0000:00:1f.0/0000:03:00.0", 0x1a03, 0x2000, "0x030000");  // ASPEED
    sys.device("pci0000:c0/0000:c0:01.0/0000:c1:00.0", 0x10de, 0x22a3, "0x068000");
    sys.file("devices/system/node/node0/cpulist", "0\n");
    sys.file("devices/system/node/node1/cpulist", "1\n");
    sys.file("devices/system/node/possible", "0-1\n");
    const HostMachine m = read_machine(
        sys.root(), {{"eth0", "10.0.0.1", 24}, {"eth1", "10.0.1.1", 24}, {"eth2", "10.0.2.1", 24}},
        "gpu");
    CHECK(m.numa_nodes == 2);
    CHECK(m.nvswitches == 1);
    REQUIRE(m.gpus.size() == 5);
    using Nics = std::vector<std::uint32_t>;
    CHECK(m.gpus[0].nearest == Nics{0});
    CHECK(m.gpus[0].distance == Distance::kSwitch);
    CHECK(m.gpus[1].nearest == Nics{1});
    CHECK(m.gpus[2].nearest == Nics{0, 1});
    CHECK(m.gpus[2].distance == Distance::kRoot);
    CHECK(m.gpus[3].nearest == Nics{2});
    CHECK(m.gpus[3].distance == Distance::kNuma);
    CHECK(m.gpus[4].nearest == Nics{0, 1, 2});
    CHECK(m.gpus[4].distance == Distance::kMachine);
    CHECK(m.gpus[0].pcie.bits_per_second() / 8'000'000'000 == 63);
    CHECK(template_of(m.gpus[0]) == "dgx-h200");
    CHECK(template_of({.vendor = 0x1002, .device = 0x2335}).empty());
}

TEST_CASE("files of any content are read without harm", "[unit]") {
    MadeUpSysfs sys;
    const std::string junk = std::string(100'000, '9') + "\n\xff";
    sys.nic("eth0", "pci0000:00/0000:00:02.0/0000:1a:00.0", "x", junk, 0);
    sys.nic("eth1", "pci0000:00/0000:00:02.0/0000:1a:00.1", "x", "-9223372036854775808", 0);
    sys.nic("evil\n\"name: {", "pci0000:00/0000:00:02.0/0000:1a:00.3", "x", "99999999999999999999");
    sys.nic("eth2", "", "", "1");
    sys.file("devices/pci0000:00/0000:00:02.0/0000:1a:00.0/numa_node", junk);
    sys.file("devices/pci0000:00/0000:00:02.0/0000:1a:00.0/infiniband/a/ports/1/rate", junk);
    sys.file("devices/pci0000:00/0000:00:02.0/0000:1a:00.1/infiniband/a/ports/1/rate",
             "9223372036854775807 Gb/sec");
    sys.link("class/net/eth2/device", "../../../../../../../../etc");
    sys.gpu("pci0000:00/0000:00:05.0/0000:1b:00.0", 0x10de, 0x2335);
    sys.file("devices/pci0000:00/0000:00:05.0/0000:1b:00.0/max_link_speed", junk);
    sys.file("devices/pci0000:00/0000:00:05.0/0000:1b:00.0/device", junk);
    sys.link("class/net/loop", "loop");
    sys.file("bus/pci/devices/nonsense/class", "0x030200");
    const HostMachine m =
        read_machine(sys.root(), {{"eth0", "10.0.0.1", 24}}, std::string(500, 'x'));
    CHECK(m.name.size() == 64);
    for (const MachineNic& n : m.nics) {
        CHECK((n.rate == Bandwidth{} || n.name == "eth2"));
        CHECK(n.name == plain(n.name));
        CHECK(n.numa < 1024);
    }
    CHECK(nic_of(m, "eth2").path.empty());
    REQUIRE(m.gpus.size() == 1);
    CHECK(m.gpus[0].pcie == Bandwidth{});
    CHECK(read_machine("/does/not/exist", {}, "").nics.empty());
}

TEST_CASE("a soft-RoCE device belongs to the interface it names", "[unit]") {
    MadeUpSysfs sys;
    sys.nic("r0p0", "", "", "10000");
    sys.file("class/infiniband/rxe0/parent", "r0p0\n");
    const HostMachine m = read_machine(sys.root(), {{"r0p0", "10.40.0.1", 24}}, "h");
    CHECK(nic_of(m, "r0p0").rdma == "rxe0");
}

TEST_CASE("this machine can be read", "[unit]") {
    const HostMachine m = this_machine();
    CHECK_FALSE(m.name.empty());
    for (const MachineNic& n : m.nics)
        if (n.name == "lo") CHECK(n.left_out == "loopback");
}
