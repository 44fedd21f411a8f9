#include "topology/discover/machine.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

namespace weft {

namespace {

namespace fs = std::filesystem;

// Beyond these a tree of files is no machine, and the rest is not looked at.
constexpr std::size_t kMostNics = 256;
constexpr std::size_t kMostGpus = 256;
constexpr std::size_t kMostEntries = 8192;
constexpr std::size_t kMostOfFile = 4096;
constexpr std::size_t kMostOfName = 64;

constexpr unsigned kEthernet = 1;
constexpr unsigned kInfiniband = 32;
constexpr unsigned kLoopback = 772;
constexpr unsigned kUp = 1;  // IFF_UP
constexpr std::uint16_t kNvidia = 0x10de;
constexpr std::uint16_t kAmd = 0x1002;
constexpr std::int64_t kMostRate = 100'000'000'000'000;

std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string text(kMostOfFile, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

std::string line_of(const fs::path& file) {
    const std::string text = content(file);
    return text.substr(0, text.find('\n'));
}

/// The number that a text begins with, after 0x for base 16.
std::optional<std::int64_t> number(std::string_view text, int base = 10) {
    if (base == 16 && text.substr(0, 2) == "0x") text.remove_prefix(2);
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (read.ec != std::errc{}) return std::nullopt;
    return value;
}

std::int64_t number_in(const fs::path& file, std::int64_t otherwise, int base = 10) {
    return number(line_of(file), base).value_or(otherwise);
}

bool there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(fs::symlink_status(path, ignored));
}

/// Names in a folder, in order, so that every reading of one tree is the same.
std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code gone;
    for (fs::directory_iterator i(folder, gone), end; !gone && i != end; i.increment(gone)) {
        names.push_back(i->path().filename().string());
        if (names.size() >= kMostEntries) break;
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// "0000:1a:00.1"
bool is_pci_address(const std::string& name) {
    constexpr std::string_view kForm = "xxxx:xx:xx.x";
    if (name.size() < kForm.size()) return false;
    // Domains may have more than four digits.
    const std::string_view end = std::string_view(name).substr(name.size() - kForm.size());
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        const bool digit = std::isxdigit(static_cast<unsigned char>(end[i])) != 0;
        if (kForm[i] == 'x' ? !digit : end[i] != kForm[i]) return false;
    }
    return std::all_of(name.begin(), name.end() - kForm.size(),
                       [](unsigned char c) { return std::isxdigit(c) != 0; });
}

/// The way from the root complex to a device: "pci0000:00/0000:00:01.0/0000:1a:00.0".
std::string pci_path(const fs::path& device) {
    std::error_code bad;
    const fs::path real = fs::canonical(device, bad);
    if (bad) return {};
    std::string way;
    for (const fs::path& part : real) {
        const std::string name = part.string();
        const bool root = way.empty() && name.size() > 3 && name.compare(0, 3, "pci") == 0;
        if (!root && (way.empty() || !is_pci_address(name))) continue;
        way += (way.empty() ? "" : "/") + plain(name);
    }
    return way.size() <= 1024 ? way : std::string();
}

std::string last_part(const std::string& way) {
    const std::size_t slash = way.rfind('/');
    return slash == way.npos ? std::string() : way.substr(slash + 1);
}

std::string target_name(const fs::path& link) {
    std::error_code bad;
    const fs::path target = fs::read_symlink(link, bad);
    return bad ? std::string() : plain(target.filename().string());
}

std::int32_t numa_of(const fs::path& device) {
    for (const char* up : {"numa_node", "../numa_node"}) {
        const std::int64_t node = number_in(device / up, -1);
        if (node >= 0 && node < 1024) return static_cast<std::int32_t>(node);
    }
    return -1;
}

/// "DEVTYPE=vlan" among the lines of a uevent.
std::string device_type(const fs::path& nic) {
    const std::string text = "\n" + content(nic / "uevent");
    const std::string key = "\nDEVTYPE=";
    const std::size_t at = text.find(key);
    if (at == text.npos) return {};
    const std::size_t from = at + key.size();
    return plain(text.substr(from, text.find('\n', from) - from));
}

Bandwidth believable(std::int64_t bits_per_second) {
    return Bandwidth{bits_per_second > 0 && bits_per_second <= kMostRate ? bits_per_second : 0};
}

/// "200 Gb/sec (4X HDR)", the fastest port of the device.
Bandwidth rdma_rate(const fs::path& device) {
    Bandwidth best;
    for (const std::string& port : names_in(device / "ports")) {
        const std::string text = line_of(device / "ports" / port / "rate");
        const std::optional<std::int64_t> gigabits = number(text);
        if (!gigabits || *gigabits > 100'000) continue;
        const bool half = text.find(".5 Gb/sec") != text.npos;
        if (!half && text.find(" Gb/sec") == text.npos) continue;
        best = std::max(best, believable(*gigabits * 1'000'000'000 + (half ? 500'000'000 : 0)));
    }
    return best;
}

Bandwidth speed_of(const fs::path& nic) {
    const std::int64_t megabits = number_in(nic / "speed", 0);
    return megabits > 0 && megabits <= kMostRate / 1'000'000 ? believable(megabits * 1'000'000)
                                                             : Bandwidth{};
}

std::string why_left_out(const fs::path& nic) {
    const auto type = static_cast<unsigned>(number_in(nic / "type", 0));
    if (type == kLoopback) return "loopback";
    if (there(nic / "bridge")) return "bridge";
    if (there(nic / "tun_flags")) return "tunnel";
    const std::string kind = device_type(nic);
    if (kind == "vlan") return "VLAN";
    if (!kind.empty() && kind != "bond") return kind;
    if (type != kEthernet && type != kInfiniband) return "neither Ethernet nor InfiniBand";
    if (there(nic / "master"))
        return "part of " + (there(nic / "master" / "bridge") ? "bridge " : std::string()) +
               target_name(nic / "master");
    if ((static_cast<unsigned>(number_in(nic / "flags", 0, 16)) & kUp) == 0) return "down";
    if (line_of(nic / "carrier") == "0") return "no carrier";
    return {};
}

void add_addresses(MachineNic& nic, const std::string& name,
                   const std::vector<InterfaceAddress>& addresses) {
    for (const InterfaceAddress& a : addresses) {
        if (a.interface != name) continue;
        nic.addresses.push_back(a);
        const std::string subnet = subnet_of(a);
        const bool ipv6 = subnet.find(':') != subnet.npos;
        const auto first6 =
            std::find_if(nic.subnets.begin(), nic.subnets.end(),
                         [](const std::string& s) { return s.find(':') != s.npos; });
        if (subnet.empty() ||
            std::find(nic.subnets.begin(), nic.subnets.end(), subnet) != nic.subnets.end())
            continue;
        nic.subnets.insert(ipv6 ? nic.subnets.end() : first6, subnet);
    }
}

MachineNic read_nic(const fs::path& sysfs, const std::string& name,
                    const std::vector<InterfaceAddress>& addresses) {
    const fs::path at = sysfs / "class/net" / name;
    MachineNic nic;
    nic.name = plain(name);
    nic.driver = there(at / "bonding") ? "bonding" : target_name(at / "device/driver");
    nic.path = pci_path(at / "device");
    nic.pci = last_part(nic.path);
    nic.numa = numa_of(at / "device");
    nic.rate = speed_of(at);
    const std::vector<std::string> devices = names_in(at / "device/infiniband");
    if (!devices.empty()) {
        nic.rdma = plain(devices.front());
        if (nic.rate == Bandwidth{})
            nic.rate = rdma_rate(at / "device/infiniband" / devices.front());
    }
    add_addresses(nic, name, addresses);
    nic.left_out = why_left_out(at);
    if (nic.left_out.empty() && nic.subnets.empty()) nic.left_out = "no address";
    return nic;
}

/// An interface that has an address and no folder.
MachineNic unseen_nic(const std::string& name, const std::vector<InterfaceAddress>& addresses) {
    MachineNic nic;
    nic.name = plain(name);
    add_addresses(nic, name, addresses);
    return nic;
}

/// A soft-RoCE device says which interface it sits on.
void read_soft_rdma(const fs::path& sysfs, HostMachine& m) {
    for (const std::string& device : names_in(sysfs / "class/infiniband")) {
        const std::string parent = plain(line_of(sysfs / "class/infiniband" / device / "parent"));
        for (MachineNic& nic : m.nics)
            if (nic.rdma.empty() && !parent.empty() && nic.name == parent) nic.rdma = plain(device);
    }
}

/// "32.0 GT/s PCIe", 16 lanes: 63 GB/s, of 130 bits 128 are data from 8 GT/s on, of 10 eight below.
Bandwidth slot_rate(const fs::path& device) {
    const std::string speed = line_of(device / "max_link_speed");
    const std::int64_t lanes = number_in(device / "max_link_width", 0);
    const std::int64_t tenths =
        number(speed).value_or(0) * 10 + (speed.find(".5 GT") != speed.npos ? 5 : 0);
    if (speed.find("GT/s") == speed.npos || tenths <= 0 || tenths > 10'000 || lanes <= 0 ||
        lanes > 32)
        return {};
    const std::int64_t raw = tenths * 100'000'000 * lanes;
    return Bandwidth{tenths >= 80 ? raw / 130 * 128 : raw / 10 * 8};
}

bool is_gpu(std::int64_t cls, std::int64_t vendor) {
    constexpr std::int64_t kDisplay = 0x0300;  // a board's own display has this too
    constexpr std::int64_t k3d = 0x0302;
    constexpr std::int64_t kAccelerator = 0x1200;
    return cls == k3d || cls == kAccelerator ||
           (cls == kDisplay && (vendor == kNvidia || vendor == kAmd));
}

void read_pci(const fs::path& sysfs, HostMachine& m) {
    constexpr std::int64_t kOtherBridge = 0x0680;
    const fs::path all = sysfs / "bus/pci/devices";
    for (const std::string& name : names_in(all)) {
        if (!is_pci_address(name)) continue;
        const std::int64_t cls = number_in(all / name / "class", 0, 16) >> 8;
        if (cls != kOtherBridge && !is_gpu(cls, kNvidia)) continue;
        const std::int64_t vendor = number_in(all / name / "vendor", 0, 16);
        if (cls == kOtherBridge && vendor == kNvidia) ++m.nvswitches;
        if (!is_gpu(cls, vendor) || m.gpus.size() >= kMostGpus) continue;
        MachineGpu gpu;
        gpu.pci = name;
        gpu.path = pci_path(all / name);
        gpu.vendor = static_cast<std::uint16_t>(vendor);
        gpu.device = static_cast<std::uint16_t>(number_in(all / name / "device", 0, 16));
        gpu.numa = numa_of(all / name);
        gpu.pcie = slot_rate(all / name);
        m.gpus.push_back(std::move(gpu));
    }
}

/// How many bridges two ways share below the root complex; nothing: not even that.
std::optional<std::size_t> common_bridges(const std::string& a, const std::string& b) {
    std::size_t parts = 0;
    std::size_t at = 0;
    while (!a.empty() && !b.empty()) {
        const std::size_t end_a = a.find('/', at);
        const std::size_t end_b = b.find('/', at);
        if (a.substr(at, end_a - at) != b.substr(at, end_b - at)) break;
        ++parts;
        if (end_a == a.npos || end_b == b.npos) break;
        at = end_a + 1;
    }
    if (parts == 0) return std::nullopt;
    return parts - 1;
}

void find_nearest(MachineGpu& gpu, const std::vector<MachineNic>& nics) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < nics.size(); ++i) {
        if (!nics[i].left_out.empty()) continue;
        const auto bridges = common_bridges(gpu.path, nics[i].path);
        const bool same_node = gpu.numa >= 0 && gpu.numa == nics[i].numa;
        const Distance d = bridges.value_or(0) > 0 ? Distance::kSwitch
                           : bridges               ? Distance::kRoot
                           : same_node             ? Distance::kNuma
                                                   : Distance::kMachine;
        // One score: the kind of way first, then how much of it is common.
        const std::size_t score = (4 - static_cast<std::size_t>(d)) * 1000 + bridges.value_or(0);
        if (score > best) gpu.nearest.clear();
        if (score < best) continue;
        best = score;
        gpu.distance = d;
        gpu.nearest.push_back(static_cast<std::uint32_t>(i));
    }
}

std::int32_t count_nodes(const fs::path& sysfs) {
    std::int32_t nodes = 0;
    for (const std::string& name : names_in(sysfs / "devices/system/node"))
        if (name.size() > 4 && name.compare(0, 4, "node") == 0 &&
            name.find_first_not_of("0123456789", 4) == name.npos)
            ++nodes;
    return nodes;
}

}  // namespace

const char* name_of(Distance d) {
    constexpr const char* kNames[] = {"one PCIe switch", "one root complex", "one NUMA node",
                                      "the machine"};
    return kNames[static_cast<std::size_t>(d)];
}

std::string plain(std::string text) {
    if (text.size() > kMostOfName) text.resize(kMostOfName);
    for (char& c : text)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
            std::string_view("._-:/").find(c) == std::string_view::npos)
            c = '?';
    return text;
}

HostMachine read_machine(const std::string& sysfs, const std::vector<InterfaceAddress>& addresses,
                         const std::string& name) {
    HostMachine m;
    m.name = plain(name);
    m.numa_nodes = count_nodes(sysfs);
    for (const std::string& nic : names_in(fs::path(sysfs) / "class/net")) {
        if (m.nics.size() >= kMostNics) break;
        // bonding_masters and its like are files.
        if (there(fs::path(sysfs) / "class/net" / nic / "type"))
            m.nics.push_back(read_nic(sysfs, nic, addresses));
    }
    // Where /sys shows another network than this process has, the addresses are what is known.
    for (const InterfaceAddress& a : addresses) {
        const bool known = std::any_of(m.nics.begin(), m.nics.end(), [&](const MachineNic& n) {
            return n.name == plain(a.interface);
        });
        if (!known && !subnet_of(a).empty() && m.nics.size() < kMostNics)
            m.nics.push_back(unseen_nic(a.interface, addresses));
    }
    read_soft_rdma(sysfs, m);
    // Where there is a real port, virtual ones belong to containers and tunnels of this machine.
    const bool real = std::any_of(m.nics.begin(), m.nics.end(), [](const MachineNic& n) {
        return n.left_out.empty() && !n.driver.empty();
    });
    for (MachineNic& nic : m.nics)
        if (real && nic.left_out.empty() && nic.driver.empty()) nic.left_out = "virtual";
    read_pci(sysfs, m);
    for (MachineGpu& gpu : m.gpus) find_nearest(gpu, m.nics);
    return m;
}

std::string template_of(const MachineGpu& gpu) {
    // Device ids as in pci.ids of the project pciutils; boards with NVLink alone.
    struct Row {
        std::uint16_t device;
        const char* name;
    };
    constexpr Row kRows[] = {
        {0x20b0, "dgx-a100"},  // A100 SXM4 40GB
        {0x20b2, "dgx-a100"},  // A100 SXM4 80GB
        {0x2330, "dgx-h100"},  // H100 SXM5 80GB
        {0x2324, "hpn-h800"},  // H800
        {0x2329, "h20"},       // H20
        {0x2335, "dgx-h200"},  // H200 SXM 141GB
        {0x2901, "dgx-b200"},  // B200
    };
    for (const Row& row : kRows)
        if (gpu.vendor == kNvidia && gpu.device == row.device) return row.name;
    return {};
}

}  // namespace weft
