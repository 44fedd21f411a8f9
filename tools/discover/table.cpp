#include "tools/discover/table.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weft::tools {

namespace {

std::string or_dash(const std::string& text) {
    return text.empty() ? "-" : text;
}

std::string node_text(std::int32_t numa) {
    return numa < 0 ? "-" : std::to_string(numa);
}

std::string rate_text(Bandwidth rate) {
    return rate > Bandwidth{} ? to_string(rate) : "unknown";
}

std::string plural(std::size_t n, const char* one) {
    return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s");
}

std::string bytes_text(std::uint64_t bytes) {
    return to_string(Bytes{static_cast<std::int64_t>(bytes)});
}

const MachineNic* find_nic(const HostMachine& m, const std::string& name) {
    const auto at = std::find_if(m.nics.begin(), m.nics.end(),
                                 [&](const MachineNic& n) { return n.name == name; });
    return at == m.nics.end() ? nullptr : &*at;
}

std::string ports_text(const HostMachine& m, std::size_t h, const std::vector<PlacedPort>& ports) {
    std::string text =
        fmt::format("  {:<12} {:>4} {:>5}  {:<10} {:<11} {:<13} {:>4}  {:<8} {}\n", "port", "rail",
                    "plane", "rate", "driver", "PCI", "NUMA", "RDMA", "subnet");
    for (const PlacedPort& p : ports) {
        if (p.host != h) continue;
        const MachineNic none;
        const MachineNic* found = find_nic(m, p.name);
        const MachineNic& nic = found ? *found : none;
        text += fmt::format("  {:<12} {:>4} {:>5}  {:<10} {:<11} {:<13} {:>4}  {:<8} {}\n", p.name,
                            p.rail, p.plane, p.rate_assumed ? "unknown" : rate_text(p.rate),
                            found && nic.driver.empty() ? "virtual" : or_dash(nic.driver),
                            or_dash(nic.pci), node_text(nic.numa), or_dash(nic.rdma), p.network);
    }
    return text;
}

std::string gpus_text(const HostMachine& m) {
    std::string text = fmt::format("  {:<13} {:<10} {:<10} {:>4}  {:<14} {}\n", "GPU", "id", "as",
                                   "NUMA", "PCIe", "nearest ports");
    for (const MachineGpu& g : m.gpus) {
        std::vector<std::string> names;
        for (const std::uint32_t i : g.nearest) names.push_back(m.nics.at(i).name);
        const std::string near =
            names.empty() ? "-"
                          : fmt::format("{} ({})", fmt::join(names, " "), name_of(g.distance));
        text += fmt::format("  {:<13} {:04x}:{:04x}  {:<10} {:>4}  {:<14} {}\n", g.pci, g.vendor,
                            g.device, or_dash(template_of(g)), node_text(g.numa), rate_text(g.pcie),
                            near);
    }
    if (m.nvswitches > 0) text += "  " + plural(m.nvswitches, "NVSwitch device") + "\n";
    return text;
}

}  // namespace

std::string text_of(const std::optional<Processors>& p) {
    if (!p)
        return knows_processors() ? "  cores and caches: hwloc cannot tell\n"
                                  : "  cores and caches: unknown, Weft is built without hwloc\n";
    std::string text = fmt::format("  {}, {}, {}, {}", plural(p->sockets, "socket"),
                                   plural(p->numa_nodes, "NUMA node"), plural(p->cores, "core"),
                                   plural(p->threads, "thread"));
    if (p->memory > 0) text += fmt::format(", {} of memory", bytes_text(p->memory));
    text += ", its bandwidth unknown (not measured)\n";
    std::vector<std::string> caches;
    for (const CacheLevel& c : p->caches)
        caches.push_back(fmt::format("L{}{} {} x {}", c.level, c.instructions ? "i" : "", c.count,
                                     bytes_text(c.bytes)));
    if (!caches.empty()) text += fmt::format("  {}\n", fmt::join(caches, ", "));
    return text;
}

std::string text_of(const std::vector<SeenHost>& hosts, std::size_t h,
                    const std::vector<PlacedPort>& ports) {
    const HostMachine& m = hosts[h].machine;
    std::string text;
    const bool any =
        std::any_of(ports.begin(), ports.end(), [&](const PlacedPort& p) { return p.host == h; });
    text += any ? ports_text(m, h, ports) : "  no NIC port with an address\n";
    std::vector<std::string> left;
    for (const MachineNic& n : m.nics)
        if (!n.left_out.empty()) left.push_back(fmt::format("{} ({})", n.name, n.left_out));
    if (!left.empty()) text += fmt::format("  left out: {}\n", fmt::join(left, ", "));
    text += m.gpus.empty() ? "  no GPU\n" : gpus_text(m);
    return text;
}

}  // namespace weft::tools
