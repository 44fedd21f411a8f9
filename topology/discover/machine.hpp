#pragma once
// HostMachine: what stands in this machine as far as a network sees it: NIC ports, GPUs, and which
// is near which.
//
// Read from a tree of files in the form of Linux's /sys (its root is a parameter, so that a made-up
// one does as well) and the kernel's list of addresses. A NIC is a port of the network unless
// `left_out` says why not. Near: the longest common way of two devices from the root of PCIe on;
// where that says nothing, the same NUMA node.
// Rates are what drivers say: of a virtual NIC that is a number without meaning.
// Leaves out: cores, caches (processors.hpp), memory bandwidth (nobody says it), NVLink's wiring
// (known from the GPU's model alone), what other machines are (cluster.hpp).
// Nothing here throws on any content of the files; what cannot be read is unknown.
#include <cstdint>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace weft {

struct InterfaceAddress {
    std::string interface;
    std::string address;  // numeric, IPv4 or IPv6
    int prefix = 0;       // bits of it that are the subnet's
};
/// "10.40.0.0/24"; empty when the text is no address that leaves its link.
[[nodiscard]] std::string subnet_of(const InterfaceAddress& a);

struct MachineNic {
    std::string name;    // "eth0", "r0p1"
    std::string driver;  // "mlx5_core"; empty: none, a virtual NIC
    std::string rdma;    // "mlx5_0"; empty: none
    std::string pci;     // "0000:1a:00.1"; empty: not on PCI
    std::string path;    // "pci0000:00/0000:00:01.0/0000:1a:00.1"
    std::int32_t numa = -1;
    Bandwidth rate;                    // 0: unknown
    std::vector<std::string> subnets;  // IPv4 before IPv6
    std::vector<InterfaceAddress> addresses;
    std::string left_out;  // "bridge", "no address"; empty: a port
};

/// How two devices of a machine are joined, nearest first.
enum class Distance : std::uint8_t { kSwitch, kRoot, kNuma, kMachine };
/// "one PCIe switch", "one root complex", "one NUMA node", "the machine".
[[nodiscard]] const char* name_of(Distance d);

struct MachineGpu {
    std::string pci;
    std::string path;
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::int32_t numa = -1;
    Bandwidth pcie;  // what its slot carries; 0: unknown
    /// Indexes into nics: the ports that nothing is nearer than.
    std::vector<std::uint32_t> nearest;
    Distance distance = Distance::kMachine;  // to those
};

struct HostMachine {
    std::string name;
    std::int32_t numa_nodes = 0;  // 0: unknown
    std::vector<MachineNic> nics;
    std::vector<MachineGpu> gpus;
    std::uint32_t nvswitches = 0;
};

/// `sysfs`: "/sys". `name`: of the host.
[[nodiscard]] HostMachine read_machine(const std::string& sysfs,
                                       const std::vector<InterfaceAddress>& addresses,
                                       const std::string& name);
/// Of this process: /sys, its network namespace's addresses, its host name.
[[nodiscard]] HostMachine this_machine();

/// A GPU whose model is known: the template (topology/host/) that has its figures, or empty.
[[nodiscard]] std::string template_of(const MachineGpu& gpu);
/// Fit to stand in a file and in a line of text: other characters than letters, digits and
/// ". _ - : /" become '?', and 64 are the most.
[[nodiscard]] std::string plain(std::string text);

}  // namespace weft
