#include "collectives/api/host_card.hpp"

#include <algorithm>
#include <map>

#include "collectives/transport/net/wire.hpp"

namespace weft::live {

namespace {

using net::Reader;
using net::Writer;

constexpr std::uint32_t kMagic = 0x6863616d;  // "mach"
constexpr std::size_t kMostPorts = 64;
constexpr std::size_t kMostGpus = 64;
constexpr std::size_t kMostSubnets = 4;
constexpr std::size_t kMostOfName = 64;
constexpr std::int32_t kMostRail = 9999;
constexpr std::uint64_t kMostRate = 100'000'000'000'000;

/// A name that plain() would leave as it is.
std::string read_name(Reader& r) {
    std::string name = r.text(kMostOfName);
    if (name != plain(name)) r.fail();
    return name;
}

std::size_t count_of(Reader& r, std::size_t most) {
    const std::size_t n = r.u8();
    if (n > most) r.fail();
    return r.ok() ? n : 0;
}

std::int32_t read_small(Reader& r) {
    const auto value = static_cast<std::int32_t>(r.u32());
    if (value < -1 || value > kMostRail) r.fail();
    return value;
}

Bandwidth read_rate(Reader& r) {
    const std::uint64_t rate = r.u64();
    if (rate > kMostRate) r.fail();
    return Bandwidth{r.ok() ? static_cast<std::int64_t>(rate) : 0};
}

void write_rate(Writer& w, Bandwidth rate) {
    w.u64(std::min(static_cast<std::uint64_t>(rate.bits_per_second()), kMostRate));
}

void write_nic(Writer& w, const MachineNic& n) {
    for (const std::string* name : {&n.name, &n.driver, &n.rdma, &n.pci}) w.text(plain(*name));
    w.u32(static_cast<std::uint32_t>(n.numa));
    write_rate(w, n.rate);
    const std::size_t subnets = std::min(n.subnets.size(), kMostSubnets);
    w.u8(static_cast<std::uint8_t>(subnets));
    for (std::size_t i = 0; i < subnets; ++i) w.text(plain(n.subnets[i]));
}

MachineNic read_nic(Reader& r) {
    MachineNic n;
    for (std::string* name : {&n.name, &n.driver, &n.rdma, &n.pci}) *name = read_name(r);
    n.numa = read_small(r);
    n.rate = read_rate(r);
    for (std::size_t left = count_of(r, kMostSubnets); left > 0 && r.ok(); --left)
        n.subnets.push_back(read_name(r));
    return n;
}

/// `place`: of each NIC of the machine, its number in the card; -1: not in it.
void write_gpu(Writer& w, const MachineGpu& g, const std::vector<int>& place) {
    w.text(plain(g.pci));
    w.u16(g.vendor);
    w.u16(g.device);
    w.u32(static_cast<std::uint32_t>(g.numa));
    write_rate(w, g.pcie);
    w.u8(static_cast<std::uint8_t>(g.distance));
    std::vector<int> nearest;
    for (const std::uint32_t i : g.nearest)
        if (i < place.size() && place[i] >= 0) nearest.push_back(place[i]);
    w.u8(static_cast<std::uint8_t>(nearest.size()));
    for (const int i : nearest) w.u8(static_cast<std::uint8_t>(i));
}

MachineGpu read_gpu(Reader& r, std::size_t nics) {
    MachineGpu g;
    g.pci = read_name(r);
    g.vendor = r.u16();
    g.device = r.u16();
    g.numa = read_small(r);
    g.pcie = read_rate(r);
    const std::uint8_t distance = r.u8();
    if (distance > static_cast<std::uint8_t>(Distance::kMachine)) r.fail();
    if (r.ok()) g.distance = static_cast<Distance>(distance);
    for (std::size_t left = count_of(r, kMostPorts); left > 0 && r.ok(); --left) {
        g.nearest.push_back(r.u8());
        // Each once, in order: what is written here is.
        const std::size_t n = g.nearest.size();
        if (g.nearest.back() >= nics || (n > 1 && g.nearest[n - 2] >= g.nearest[n - 1])) r.fail();
    }
    return g;
}

}  // namespace

std::vector<std::byte> encode(const HostMachine& m) {
    Writer w;
    w.u32(kMagic);
    w.text(plain(m.name));
    w.u32(static_cast<std::uint32_t>(std::clamp(m.numa_nodes, -1, kMostRail)));
    w.u32(m.nvswitches);
    std::vector<int> place(m.nics.size(), -1);
    std::uint8_t ports = 0;
    for (std::size_t i = 0; i < m.nics.size() && ports < kMostPorts; ++i)
        if (m.nics[i].left_out.empty()) place[i] = ports++;
    w.u8(ports);
    for (std::size_t i = 0; i < m.nics.size(); ++i)
        if (place[i] >= 0) write_nic(w, m.nics[i]);
    const std::size_t gpus = std::min(m.gpus.size(), kMostGpus);
    w.u8(static_cast<std::uint8_t>(gpus));
    for (std::size_t i = 0; i < gpus; ++i) write_gpu(w, m.gpus[i], place);
    return w.take();
}

std::optional<HostMachine> parse_machine(std::span<const std::byte> bytes) {
    Reader r(bytes);
    if (r.u32() != kMagic) return std::nullopt;
    HostMachine m;
    m.name = read_name(r);
    m.numa_nodes = read_small(r);
    m.nvswitches = r.u32();
    for (std::size_t left = count_of(r, kMostPorts); left > 0 && r.ok(); --left)
        m.nics.push_back(read_nic(r));
    for (std::size_t left = count_of(r, kMostGpus); left > 0 && r.ok(); --left)
        m.gpus.push_back(read_gpu(r, m.nics.size()));
    if (!r.done()) return std::nullopt;
    return m;
}

std::vector<std::byte> encode(const Presence& p) {
    Writer w;
    w.raw(p.host);
    const std::size_t ports = std::min(p.ports.size(), kMostPorts);
    w.u8(static_cast<std::uint8_t>(ports));
    for (std::size_t i = 0; i < ports; ++i) {
        w.text(plain(p.ports[i].name));
        w.u32(static_cast<std::uint32_t>(p.ports[i].rail));
        w.u32(static_cast<std::uint32_t>(p.ports[i].plane));
        write_rate(w, p.ports[i].rate);
    }
    w.block(encode(p.machine));
    return w.take();
}

std::optional<Presence> parse_presence(std::span<const std::byte> bytes) {
    Reader r(bytes);
    Presence p;
    const auto host = r.raw(p.host.size());
    std::copy(host.begin(), host.end(), p.host.begin());
    for (std::size_t left = count_of(r, kMostPorts); left > 0 && r.ok(); --left) {
        NamedPort port;
        port.name = read_name(r);
        port.rail = read_small(r);
        port.plane = read_small(r);
        port.rate = read_rate(r);
        p.ports.push_back(std::move(port));
    }
    const auto machine = parse_machine(r.block());
    if (!r.done() || !machine || !believable(p.ports)) return std::nullopt;
    p.machine = *machine;
    return p;
}

bool believable(const std::vector<NamedPort>& ports) {
    return std::all_of(ports.begin(), ports.end(), [](const NamedPort& p) {
        return p.rail >= 0 && p.rail <= kMostRail && p.plane >= 0 && p.plane <= kMostRail &&
               p.rate >= Bandwidth{};
    });
}

std::vector<SeenHost> hosts_of(const std::vector<Presence>& ranks,
                               std::vector<std::uint32_t>* of_rank) {
    std::map<std::array<std::byte, 32>, std::uint32_t> numbers;
    std::vector<SeenHost> hosts;
    for (const Presence& p : ranks) {
        const auto [at, fresh] = numbers.emplace(p.host, static_cast<std::uint32_t>(hosts.size()));
        if (fresh) hosts.push_back({.machine = p.machine, .ranks = 0, .ports = p.ports});
        ++hosts[at->second].ranks;
        if (of_rank) of_rank->push_back(at->second);
    }
    return hosts;
}

}  // namespace weft::live
