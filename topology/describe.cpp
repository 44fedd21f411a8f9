#include "topology/describe.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "topology/graph.hpp"

namespace weft {
namespace {

const char* tier_name(std::int32_t tier) {
    constexpr std::array<const char*, 4> kNames{"host", "tor", "agg", "core"};
    return kNames[static_cast<std::size_t>(std::clamp(tier, 0, 3))];
}

/// NIC devices of backup hosts have no row among the NICs.
std::vector<bool> ranked_nics(const Fabric& f) {
    std::vector<bool> ranked(f.nodes().size(), false);
    for (const Nic& nic : f.nics()) ranked[nic.node.index()] = true;
    return ranked;
}

TierSummary switch_ports(const Fabric& f, NodeId n, const std::vector<bool>& ranked) {
    TierSummary s;
    for (const LinkId id : f.out(n)) {
        const Link& l = f.link(id);
        if (f.node(l.to).tier > f.node(n).tier) {
            ++s.ports_up;
            s.rate_up = s.rate_up + l.capacity;
            continue;
        }
        ++s.ports_down;
        s.rate_down = s.rate_down + l.capacity;
        if (l.kind == LinkKind::kAccess && !ranked[l.to.index()]) {
            ++s.backup_down;
            s.rate_backup = s.rate_backup + l.capacity;
        }
    }
    return s;
}

std::vector<TierSummary> summarize_tiers(const Fabric& f) {
    const std::vector<bool> ranked = ranked_nics(f);
    std::map<std::int32_t, TierSummary> tiers;
    for (std::size_t i = 0; i < f.nodes().size(); ++i) {
        const Node& n = f.nodes()[i];
        if (n.kind != NodeKind::kSwitch) continue;
        const TierSummary one = switch_ports(f, NodeId{i}, ranked);
        TierSummary& all = tiers[n.tier];
        const std::size_t switches = all.switches + 1;
        const std::size_t cables_up = all.cables_up + one.ports_up;
        if (one.ports_down + one.ports_up > all.ports_down + all.ports_up) all = one;
        all.tier = n.tier;
        all.name = tier_name(n.tier);
        all.switches = switches;
        all.cables_up = cables_up;
    }
    std::vector<TierSummary> list;
    for (const auto& [tier, summary] : tiers) list.push_back(summary);
    return list;
}

/// Distinct values but kAny.
template <class F>
std::size_t distinct(const Fabric& f, F field) {
    std::set<std::int32_t> values;
    for (const Node& n : f.nodes())
        if (field(n) != kAny) values.insert(field(n));
    return values.size();
}

void count_hosts(const Fabric& f, FabricSummary& s) {
    std::set<std::int32_t> all;
    std::set<std::int32_t> ranked;
    std::map<std::int32_t, std::size_t> in_segment;
    for (const Node& n : f.nodes())
        if (n.host != kAny) all.insert(n.host);
    for (const Gpu& g : f.gpus()) {
        ranked.insert(f.node(g.node).host);
        ++in_segment[f.node(g.node).segment];
    }
    s.backup_hosts = all.size() - ranked.size();
    for (const auto& [segment, gpus] : in_segment)
        if (segment != kAny) s.gpus_per_segment = std::max(s.gpus_per_segment, gpus);
}

bool reduces_in_network(const Fabric& f) {
    bool any = false;
    for (const Node& n : f.nodes()) {
        if (n.kind != NodeKind::kScaleUpSwitch) continue;
        if (!n.in_network) return false;
        any = true;
    }
    return any;
}

std::string ratio(std::int64_t milli) {
    return fmt::format("{}.{:03}:1", milli / 1000, milli % 1000);
}

/// What is left of a switch whose capacity is known.
std::string free_ports(const TierSummary& t, Bandwidth capacity) {
    if (capacity <= Bandwidth{0}) return {};
    const Bandwidth used = t.rate_down + t.rate_up;
    if (used > capacity)
        return fmt::format("; {} more than the {} chip has", to_string(used - capacity),
                           to_string(capacity));
    if (used == capacity) return fmt::format("; no port of its {} free", to_string(capacity));
    return fmt::format("; {} of {} free", to_string(capacity - used), to_string(capacity));
}

std::string describe_tier(const TierSummary& t, Bandwidth capacity) {
    std::string line = fmt::format("  {:<5} {:>5} switches, each {} ports down ({})", t.name,
                                   t.switches, t.ports_down, to_string(t.rate_down));
    if (t.backup_down > 0) line += fmt::format(", {} of them for backup hosts", t.backup_down);
    if (t.ports_up > 0) line += fmt::format(", {} up ({})", t.ports_up, to_string(t.rate_up));
    line += free_ports(t, capacity) + "\n";
    if (t.ports_up == 0) return line;
    line += fmt::format("        oversubscription {}", ratio(oversubscription_milli(t, false)));
    if (t.backup_down > 0)
        line += fmt::format(" with the active hosts, {} with backup hosts",
                            ratio(oversubscription_milli(t, true)));
    return line + "\n";
}

}  // namespace

FabricSummary summarize(const Fabric& f) {
    FabricSummary s;
    s.name = f.name();
    s.gpus = f.gpus().size();
    s.hosts = f.hosts();
    s.nics = f.nics().size();
    s.domains = f.domains();
    s.switch_capacity = f.switch_capacity();
    s.planes = std::max<std::size_t>(1, distinct(f, [](const Node& n) { return n.plane; }));
    s.segments = distinct(f, [](const Node& n) { return n.segment; });
    s.pods = distinct(f, [](const Node& n) { return n.pod; });
    s.rails = distinct(f, [](const Node& n) { return n.kind == NodeKind::kNic ? n.rail : kAny; });
    count_hosts(f, s);
    if (!f.nics().empty()) {
        s.ports_per_nic = f.nics().front().ports.size();
        for (const LinkId l : f.nics().front().ports) s.nic_rate = s.nic_rate + f.link(l).capacity;
        s.bisection = bisection(f, Health{f});
    }
    s.in_network = reduces_in_network(f);
    for (const LinkId l : f.out(f.gpus().front().node))
        if (f.link(l).kind == LinkKind::kScaleUp)
            s.scale_up_rate = s.scale_up_rate + f.link(l).capacity;
    for (std::size_t i = 0; i < f.links().size(); i += 2)
        ++s.cables[static_cast<std::size_t>(f.links()[i].kind)];
    std::set<std::uint32_t> impaired;
    for (const auto& [l, rate] : f.impairments()) impaired.insert(l.value() / 2);
    s.impaired_cables = impaired.size();
    s.tiers = summarize_tiers(f);
    return s;
}

std::int64_t oversubscription_milli(const TierSummary& t, bool with_backup) {
    const Bandwidth down = with_backup ? t.rate_down : t.rate_down - t.rate_backup;
    if (t.rate_up <= Bandwidth{0}) return 0;
    // Rounded to the nearest thousandth, as the paper prints it.
    const Int128 up = t.rate_up.bits_per_second();
    return static_cast<std::int64_t>((Int128{down.bits_per_second()} * 2000 + up) / (2 * up));
}

std::string to_text(const Fabric& f, const FabricSummary& s) {
    std::string out = fmt::format("{}: {} GPUs in {} hosts", s.name, s.gpus, s.hosts);
    if (s.backup_hosts > 0) out += fmt::format(" (and {} backup hosts)", s.backup_hosts);
    out += fmt::format("\n  {} scale-up domains, {} per GPU and direction{}\n", s.domains,
                       to_string(s.scale_up_rate), s.in_network ? ", reduction in the switch" : "");
    if (s.nics > 0)
        out +=
            fmt::format("  {} NICs of {} {}, {} each; {} rails, {} {}\n", s.nics, s.ports_per_nic,
                        s.ports_per_nic == 1 ? "port" : "ports", to_string(s.nic_rate), s.rails,
                        s.planes, s.planes == 1 ? "plane" : "planes");
    if (s.segments > 0)
        out += fmt::format("  {} segments of up to {} GPUs, {} {}\n", s.segments,
                           s.gpus_per_segment, s.pods, s.pods == 1 ? "pod" : "pods");
    for (const TierSummary& t : s.tiers) out += describe_tier(t, s.switch_capacity);
    out += fmt::format("  cables: {} scale-up, {} PCIe, {} NIC to switch, {} switch to switch\n",
                       s.cables[0], s.cables[1], s.cables[2], s.cables[3]);
    if (s.impaired_cables > 0)
        out += fmt::format("  {} cables are down or slow\n", s.impaired_cables);
    if (s.nics > 0)
        out += fmt::format("  bisection {} (maximum flow between the halves of the hosts)\n",
                           to_string(s.bisection));
    if (!f.parameters().empty()) out += "parameters\n";
    for (const auto& [key, value] : f.parameters()) out += fmt::format("  {:<18} {}\n", key, value);
    if (!f.assumptions().empty()) out += "assumptions\n";
    for (const std::string& a : f.assumptions()) out += fmt::format("  - {}\n", a);
    return out;
}

}  // namespace weft
