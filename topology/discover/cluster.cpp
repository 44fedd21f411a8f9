#include "topology/discover/cluster.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "base/result.hpp"
#include "topology/host/host.hpp"

namespace weft {

namespace {

constexpr std::size_t kMostHosts = 100'000;
constexpr Bandwidth kUnknownRate{10'000'000'000};
constexpr const char* kScaleUpOfRanks = "10GB/s";

/// A port before its rail and plane are known.
struct Loose {
    PlacedPort port;
    std::string card;  // its PCI device without the function; empty: none
    std::optional<std::pair<std::int32_t, std::int32_t>> known;
};

std::optional<std::int32_t> small_number(const std::string& text) {
    if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != text.npos)
        return std::nullopt;
    return std::stoi(text);
}

/// r1p0: rail 1, plane 0.
std::optional<std::pair<std::int32_t, std::int32_t>> of_name(const std::string& name) {
    const std::size_t p = name.find('p');
    if (name.empty() || name[0] != 'r' || p == name.npos) return std::nullopt;
    const auto rail = small_number(name.substr(1, p - 1));
    const auto plane = small_number(name.substr(p + 1));
    if (!rail || !plane) return std::nullopt;
    return std::pair{*rail, *plane};
}

const MachineNic* find_nic(const HostMachine& m, const std::string& name) {
    const auto at = std::find_if(m.nics.begin(), m.nics.end(),
                                 [&](const MachineNic& n) { return n.name == name; });
    return at == m.nics.end() ? nullptr : &*at;
}

std::vector<Loose> loose_ports(std::span<const SeenHost> hosts) {
    std::vector<Loose> all;
    for (std::uint32_t h = 0; h < hosts.size(); ++h) {
        for (const NamedPort& p : hosts[h].ports) {
            Loose l{.port = {.host = h, .name = plain(p.name), .network = {}, .rate = p.rate},
                    .card = {},
                    .known = std::pair{p.rail, p.plane}};
            if (const MachineNic* nic = find_nic(hosts[h].machine, l.port.name)) {
                if (!nic->subnets.empty()) l.port.network = nic->subnets.front();
                if (p.rate == Bandwidth{}) l.port.rate = nic->rate;
            }
            all.push_back(std::move(l));
        }
        if (!hosts[h].ports.empty()) continue;
        for (const MachineNic& nic : hosts[h].machine.nics)
            if (nic.left_out.empty() && !nic.subnets.empty())
                all.push_back({.port = {.host = h,
                                        .name = nic.name,
                                        .network = nic.subnets.front(),
                                        .rate = nic.rate},
                               .card = nic.pci.substr(0, nic.pci.rfind('.')),
                               .known = of_name(nic.name)});
    }
    return all;
}

/// Subnets that several hosts share are networks. Where there is none, every port is the end of a
/// cable of its own, and what joins the k-th ports of the hosts has no name.
void name_networks(std::vector<Loose>& ports, std::size_t hosts) {
    std::map<std::string, std::set<std::uint32_t>> ends;
    for (const Loose& l : ports) ends[l.port.network].insert(l.port.host);
    const bool shared = std::any_of(ends.begin(), ends.end(), [](const auto& e) {
        return !e.first.empty() && e.second.size() > 1;
    });
    std::map<std::uint32_t, std::uint32_t> counted;
    for (Loose& l : ports) {
        const std::uint32_t k = counted[l.port.host]++;
        if (l.port.network.empty() || (hosts > 1 && !shared))
            l.port.network = l.known
                                 ? fmt::format("rail {} plane {}", l.known->first, l.known->second)
                                 : fmt::format("port {}", k);
    }
}

/// By subnet, cards first: see the head of cluster.hpp.
class Numbers {
  public:
    std::pair<std::int32_t, std::int32_t> of(const Loose& l) {
        if (l.known) {
            next_ = std::max(next_, l.known->first + 1);
            return *l.known;
        }
        const std::uint32_t which = seen_[{l.port.host, l.port.network}]++;
        const auto [at, fresh] = networks_.emplace(std::pair{l.port.network, which}, Place{});
        if (!fresh) return at->second;
        const std::pair card{l.port.host, l.card};
        const auto same = l.card.empty() ? cards_.end() : cards_.find(card);
        if (same != cards_.end() && which == 0)
            at->second = {same->second.first, ++same->second.second};
        else
            at->second = {next_++, 0};
        if (!l.card.empty() && same == cards_.end()) cards_[card] = at->second;
        return at->second;
    }

  private:
    using Place = std::pair<std::int32_t, std::int32_t>;
    std::int32_t next_ = 0;
    std::map<std::pair<std::uint32_t, std::string>, std::uint32_t> seen_;
    std::map<std::pair<std::string, std::uint32_t>, Place> networks_;
    std::map<std::pair<std::uint32_t, std::string>, Place> cards_;  // and its last plane
};

/// One subnet under ports that the job puts on several planes: a switch for each plane.
void split_by_plane(std::vector<PlacedPort>& ports) {
    std::map<std::string, std::set<std::int32_t>> planes;
    for (const PlacedPort& p : ports) planes[p.network].insert(p.plane);
    for (PlacedPort& p : ports)
        if (planes[p.network].size() > 1) p.network += fmt::format(" plane {}", p.plane);
}

/// What a driver does not say: as fast as the slowest that does.
void assume_rates(std::vector<PlacedPort>& ports) {
    Bandwidth slowest;
    for (const PlacedPort& p : ports)
        if (p.rate > Bandwidth{} && (slowest == Bandwidth{} || p.rate < slowest)) slowest = p.rate;
    for (PlacedPort& p : ports) {
        if (p.rate > Bandwidth{}) continue;
        p.rate = slowest > Bandwidth{} ? slowest : kUnknownRate;
        p.rate_assumed = true;
    }
}

// ---- The file ----

/// One NIC of a host in the file: a port, or those of one rail, plane by plane.
struct FileNic {
    std::int32_t rail = 0;
    std::vector<PlacedPort> ports;
};
using FileNics = std::vector<FileNic>;  // of one host

/// Planes of the fabric where every rail of every host has all of them; else 1.
std::size_t common_planes(const std::vector<PlacedPort>& ports) {
    std::map<std::pair<std::uint32_t, std::int32_t>, std::vector<std::int32_t>> planes;
    for (const PlacedPort& p : ports) planes[{p.host, p.rail}].push_back(p.plane);
    if (planes.empty()) return 1;
    const std::vector<std::int32_t>& first = planes.begin()->second;
    for (std::size_t i = 0; i < first.size(); ++i)
        if (first[i] != static_cast<std::int32_t>(i)) return 1;
    const bool alike =
        std::all_of(planes.begin(), planes.end(), [&](const auto& p) { return p.second == first; });
    return alike && first.size() <= 16 ? first.size() : 1;
}

std::vector<FileNics> file_nics(const std::vector<PlacedPort>& ports, std::size_t hosts) {
    const bool planes = common_planes(ports) > 1;
    std::vector<FileNics> all(hosts);
    for (const PlacedPort& p : ports) {
        FileNics& of_host = all[p.host];
        if (!planes || of_host.empty() || of_host.back().rail != p.rail)
            of_host.push_back({.rail = p.rail, .ports = {}});
        of_host.back().ports.push_back(p);
    }
    return all;
}

bool shows_gpus(const SeenHost& h) {
    return !h.machine.gpus.empty() && h.machine.gpus.size() >= h.ranks;
}

/// The NICs of the file that a GPU is nearest to.
std::vector<std::size_t> nearest_of(const MachineGpu& gpu, const HostMachine& m,
                                    const FileNics& nics) {
    std::vector<std::size_t> near;
    for (std::size_t j = 0; j < nics.size(); ++j)
        for (const PlacedPort& p : nics[j].ports)
            for (const std::uint32_t i : gpu.nearest)
                if (i < m.nics.size() && m.nics[i].name == p.name &&
                    (near.empty() || near.back() != j))
                    near.push_back(j);
    return near;
}

/// "[[0], [1, 2]]", or "all", or nothing where NICs are shared out in order.
std::string nearest_text(const SeenHost& h, const FileNics& nics) {
    if (nics.empty()) return {};
    if (!shows_gpus(h)) return "all";
    std::vector<std::vector<std::size_t>> near;
    bool all = true;
    for (const MachineGpu& gpu : h.machine.gpus) {
        near.push_back(nearest_of(gpu, h.machine, nics));
        all = all && (near.back().size() == nics.size() || near.back().empty());
    }
    const std::size_t g = near.size();
    if (all) return nics.size() % g == 0 || g % nics.size() == 0 ? "" : "all";
    std::string text;
    for (std::vector<std::size_t>& one : near) {
        for (std::size_t j = 0; one.empty() && j < nics.size(); ++j) one.push_back(j);
        text += fmt::format("{}[{}]", text.empty() ? "" : ", ", fmt::join(one, ", "));
    }
    return "[" + text + "]";
}

/// Exact: "400Gbps", "248171066bps".
std::string rate_text(Bandwidth b) {
    const std::int64_t bits = b.bits_per_second();
    if (bits % 1'000'000'000 == 0) return fmt::format("{}Gbps", bits / 1'000'000'000);
    if (bits % 1'000'000 == 0) return fmt::format("{}Mbps", bits / 1'000'000);
    return fmt::format("{}bps", bits);
}

/// What is inside a host, as keys of its row.
std::string inside_text(const SeenHost& h, const FileNics& nics) {
    const bool gpus = shows_gpus(h);
    const std::string known = gpus ? template_of(h.machine.gpus.front()) : "";
    std::string text = fmt::format(
        "gpus: {}, nics: {}", gpus ? h.machine.gpus.size() : std::size_t{h.ranks}, nics.size());
    if (!known.empty()) text += ", template: " + known;
    const Bandwidth slot = gpus ? h.machine.gpus.front().pcie : Bandwidth{};
    if (slot > Bandwidth{}) text += ", pcie_rate: " + rate_text(slot);
    if (known.empty())
        text += fmt::format(", scale_up_rate: {}, in_network: no",
                            slot > Bandwidth{} ? rate_text(slot) : kScaleUpOfRanks);
    std::vector<std::int32_t> rails;
    for (const FileNic& n : nics) rails.push_back(n.rail);
    bool in_order = true;
    for (std::size_t j = 0; j < rails.size(); ++j)
        in_order = in_order && rails[j] == static_cast<std::int32_t>(j);
    if (!in_order) text += fmt::format(", rails: [{}]", fmt::join(rails, ", "));
    const std::string near = nearest_text(h, nics);
    if (!near.empty()) text += ", nearest: " + near;
    return text;
}

std::string comment_of(const SeenHost& h) {
    if (!shows_gpus(h)) return "its ranks; what they move through shared memory is assumed";
    const MachineGpu& gpu = h.machine.gpus.front();
    if (!template_of(gpu).empty())
        return fmt::format("GPU {:04x}:{:04x}; its scale-up links are those of the template",
                           gpu.vendor, gpu.device);
    return fmt::format("GPU {:04x}:{:04x}, of no known model; scale-up links assumed as PCIe",
                       gpu.vendor, gpu.device);
}

/// Hosts that follow each other and are alike are one group.
struct Group {
    std::size_t first = 0;
    std::size_t count = 1;
    std::string inside;
    std::vector<std::tuple<std::size_t, std::string, Bandwidth>> links;  // NIC, network, rate
};

std::vector<Group> groups_of(std::span<const SeenHost> hosts, const std::vector<FileNics>& nics) {
    std::vector<Group> groups;
    for (std::size_t h = 0; h < hosts.size(); ++h) {
        Group g{.first = h, .count = 1, .inside = inside_text(hosts[h], nics[h]), .links = {}};
        // Plane by plane, so that port p of a NIC is cabled as its p-th.
        for (std::size_t p = 0, more = 1; more > 0; ++p) {
            more = 0;
            for (std::size_t j = 0; j < nics[h].size(); ++j) {
                if (p >= nics[h][j].ports.size()) continue;
                const PlacedPort& port = nics[h][j].ports[p];
                g.links.emplace_back(j, port.network, port.rate);
                ++more;
            }
        }
        if (!groups.empty() && groups.back().inside == g.inside && groups.back().links == g.links)
            ++groups.back().count;
        else
            groups.push_back(std::move(g));
    }
    return groups;
}

/// Every network with its plane, plane by plane, in order of ports.
std::vector<std::pair<std::string, std::int32_t>> networks_of(const std::vector<PlacedPort>& ports,
                                                              bool planes) {
    std::vector<std::pair<std::string, std::int32_t>> all;
    for (const PlacedPort& p : ports) {
        const std::pair one{p.network, planes ? p.plane : 0};
        const bool known = std::any_of(all.begin(), all.end(),
                                       [&](const auto& n) { return n.first == one.first; });
        if (!known) all.push_back(one);
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.second < b.second; });
    return all;
}

std::string head_text(std::span<const SeenHost> hosts, const std::vector<PlacedPort>& ports) {
    std::string text =
        "# What the hosts of a job said of themselves.\n"
        "# Assumed: one switch a subnet (what lies behind the ports cannot be seen), latencies";
    std::set<std::string> unknown;
    for (const PlacedPort& p : ports)
        if (p.rate_assumed) unknown.insert(p.name);
    if (!unknown.empty()) text += fmt::format(",\n#   the rate of {}", fmt::join(unknown, ", "));
    const bool any_virtual = std::any_of(ports.begin(), ports.end(), [&](const PlacedPort& p) {
        const MachineNic* nic = find_nic(hosts[p.host].machine, p.name);
        return nic && nic->driver.empty();
    });
    if (any_virtual) text += ",\n#   the rates of virtual ports (their drivers say any)";
    text += ".\n";
    for (std::size_t h = 0; h < hosts.size() && h < 64; ++h) {
        std::vector<std::string> names;
        for (const PlacedPort& p : ports)
            if (p.host == h)
                names.push_back(fmt::format("{} rail {} plane {}", p.name, p.rail, p.plane));
        text += fmt::format("#   host[{}] {}: {} rank{}{}{}\n", h, hosts[h].machine.name,
                            hosts[h].ranks, hosts[h].ranks == 1 ? "" : "s",
                            names.empty() ? "" : "; ", fmt::join(names, ", "));
    }
    return text;
}

[[noreturn]] void misfit(const std::string& file, const std::string& found,
                         const std::string& expected) {
    throw ConfigError({.file = file,
                       .line = 0,
                       .key = "fabric",
                       .found = found,
                       .expected = expected,
                       .example = {}});
}

}  // namespace

std::vector<PlacedPort> place_ports(std::span<const SeenHost> hosts) {
    std::vector<Loose> loose = loose_ports(hosts);
    name_networks(loose, hosts.size());
    Numbers numbers;
    std::vector<PlacedPort> ports;
    for (Loose& l : loose) {
        const auto [rail, plane] = numbers.of(l);
        l.port.rail = rail;
        l.port.plane = plane;
        ports.push_back(std::move(l.port));
    }
    std::stable_sort(ports.begin(), ports.end(), [](const PlacedPort& a, const PlacedPort& b) {
        return std::tuple(a.host, a.rail, a.plane) < std::tuple(b.host, b.rail, b.plane);
    });
    split_by_plane(ports);
    assume_rates(ports);
    return ports;
}

std::string describe_cluster(std::span<const SeenHost> hosts) {
    if (hosts.empty() || hosts.size() > kMostHosts)
        misfit({}, fmt::format("{} hosts", hosts.size()), fmt::format("1 to {}", kMostHosts));
    const std::vector<PlacedPort> ports = place_ports(hosts);
    const bool planes = common_planes(ports) > 1;
    const std::vector<Group> groups = groups_of(hosts, file_nics(ports, hosts.size()));
    std::string text = head_text(hosts, ports);
    text += fmt::format("name: discovered\nports: {}\nhosts:\n", planes ? "dual-plane" : "single");
    for (std::size_t i = 0; i < groups.size(); ++i)
        text += fmt::format("  - {{name: hosts-{}, count: {}, {}}}  # {}\n", i, groups[i].count,
                            groups[i].inside, comment_of(hosts[groups[i].first]));
    if (ports.empty()) return text;
    text += "switches:\n";
    for (const auto& [name, plane] : networks_of(ports, planes))
        text +=
            fmt::format("  - {{name: \"net {}\", count: 1, tier: 1, plane: {}}}\n", name, plane);
    text += "links:\n";
    for (std::size_t i = 0; i < groups.size(); ++i)
        for (const auto& [nic, network, rate] : groups[i].links)
            text += fmt::format("  - {{from: hosts-{}, to: \"net {}\", nic: {}, rate: {}}}\n", i,
                                network, nic, rate_text(rate));
    return text;
}

Placement seat_ranks(const Fabric& fabric, const std::vector<std::uint32_t>& hosts,
                     const std::string& file) {
    std::vector<std::vector<GpuId>> gpus(fabric.hosts());
    for (std::size_t g = 0; g < fabric.gpus().size(); ++g)
        gpus[fabric.gpu(GpuId{g}).host.index()].emplace_back(g);
    std::vector<std::size_t> taken(gpus.size(), 0);
    std::map<std::int32_t, std::uint32_t> domains;
    Placement p;
    p.description = "rank by rank on the GPUs of its host";
    for (std::size_t r = 0; r < hosts.size(); ++r) {
        const std::uint32_t h = hosts[r];
        if (h >= gpus.size())
            misfit(file, fmt::format("a job on {} hosts or more", std::size_t{h} + 1),
                   fmt::format("at most {}, the hosts of fabric {}", gpus.size(), fabric.name()));
        if (taken[h] == gpus[h].size())
            misfit(file, fmt::format("{} ranks or more on host {}", taken[h] + 1, h),
                   fmt::format("at most {}, the GPUs of host[{}] of fabric {}", gpus[h].size(), h,
                               fabric.name()));
        const GpuId gpu = gpus[h][taken[h]++];
        p.gpu_of.push_back(gpu);
        const std::int32_t domain = fabric.gpu(gpu).domain;
        if (domain == kAny) continue;
        const std::uint32_t other = domains.emplace(domain, h).first->second;
        if (other != h)
            misfit(file, fmt::format("hosts {} and {} in one scale-up domain", other, h),
                   "a scale-up domain a host: live ranks reach other hosts through NICs alone");
    }
    return p;
}

void check_port(const Fabric& fabric, std::uint32_t host, const NamedPort& port,
                const std::string& file) {
    std::set<std::pair<std::int32_t, std::int32_t>> there;
    for (const Nic& nic : fabric.nics()) {
        if (nic.host.index() != host) continue;
        for (const LinkId l : nic.ports) there.emplace(nic.rail, std::max(fabric.link(l).plane, 0));
    }
    if (there.count({port.rail, port.plane}) > 0) return;
    std::vector<std::string> names;
    for (const auto& [rail, plane] : there) names.push_back(fmt::format("r{}p{}", rail, plane));
    misfit(file, fmt::format("{} on rail {}, plane {}", plain(port.name), port.rail, port.plane),
           fmt::format("a port of host[{}] of fabric {}: {}", host, fabric.name(),
                       names.empty() ? "it has none" : fmt::format("{}", fmt::join(names, " "))));
}

}  // namespace weft
