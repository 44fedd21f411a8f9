#include "simulator/packet/summary.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace weft::packet {
namespace {

constexpr std::size_t kDeepestPorts = 16;
constexpr std::size_t kPausedPorts = 16;
constexpr std::size_t kVictims = 16;

void add_totals(const Totals& t, PacketSummary& p) {
    p.used = true;
    p.sent = t.sent;
    p.repeated = t.repeated;
    p.marked = t.marked;
    p.dropped = t.dropped;
    p.lost = t.lost;
    p.spoiled = t.spoiled;
    p.storms = t.storms;
    p.trimmed = t.trimmed;
    p.timeouts = t.timeouts;
    p.pauses = t.pauses;
    p.data_hops = t.data_hops;
    p.all_hops = t.all_hops;
}

std::vector<QueueSample> samples_of(const Series& series, const std::vector<PortSample>& samples,
                                    std::uint32_t ports) {
    std::vector<QueueSample> out(series.size());
    for (std::size_t i = 0; i < samples.size() && i < out.size(); ++i) {
        const PortSample& s = samples[i];
        const std::uint64_t looks = std::uint64_t{series.instants()[i]} * ports;
        out[i] = {.most_queued = Bytes{s.most},
                  .mean_queued = Bytes{static_cast<std::int64_t>(s.queued / looks)},
                  .sent = Bytes{static_cast<std::int64_t>(s.sent)},
                  .marked = s.marked,
                  .lost = s.lost,
                  .pauses = s.pauses,
                  .paused = ps(s.paused)};
    }
    return out;
}

QueueSeries frame_of(const PortGroup& g) {
    QueueSeries q;
    q.kind = name_of(g.kind);
    q.tier = g.tier;
    q.plane = g.plane;
    q.up = g.up;
    q.ports = g.ports;
    q.rate = g.rate;
    return q;
}

/// The groups, with only those of their ports that have ever sent.
std::vector<PortGroup> ports_in_use(const Fabric& fabric, const Recorder& r) {
    std::vector<PortGroup> groups = r.groups;
    for (PortGroup& g : groups) {
        g.ports = 0;
        g.rate = {};
    }
    for (const Recorder::Active& a : r.active) {
        PortGroup& g = groups[r.group_of[a.link]];
        ++g.ports;
        g.rate = g.rate + fabric.link(LinkId{a.link}).capacity;
    }
    return groups;
}

void add_groups(const Fabric& fabric, const Recorder& r, PacketSummary& p) {
    const std::vector<PortGroup> groups = ports_in_use(fabric, r);
    std::vector<std::size_t> order;
    for (std::size_t g = 0; g < r.groups.size(); ++g)
        if (!r.series.groups()[g].samples.empty()) order.push_back(g);
    const auto key = [&](std::size_t g) {
        const PortGroup& x = r.groups[g];
        return std::tuple(x.kind, x.tier, !x.up, x.plane);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    for (const std::size_t g : order) {
        const Series::Group& of = r.series.groups()[g];
        QueueSeries q = frame_of(groups[g]);
        q.most_queued = Bytes{of.most};
        if (of.worst != kNone) q.worst = fabric.name_of(LinkId{of.worst});
        q.samples = samples_of(r.series, of.samples, q.ports);
        p.groups.push_back(std::move(q));
    }
}

void add_deepest(const Fabric& fabric, const Recorder& r, PacketSummary& p) {
    std::vector<const Series::Port*> ports;
    for (const Series::Port& port : r.series.ports()) ports.push_back(&port);
    std::sort(ports.begin(), ports.end(), [](const Series::Port* a, const Series::Port* b) {
        return std::tie(b->most, a->link) < std::tie(a->most, b->link);
    });
    ports.resize(std::min(ports.size(), kDeepestPorts));
    for (const Series::Port* port : ports) {
        const Link& l = fabric.link(LinkId{port->link});
        QueueSeries q = frame_of(r.groups[r.group_of[port->link]]);
        q.ports = 1;
        q.rate = l.capacity;
        q.worst = fabric.name_of(LinkId{port->link});
        q.most_queued = Bytes{port->most};
        q.since = r.series.started() + static_cast<std::int64_t>(port->since) * r.series.length();
        q.samples = samples_of(r.series, port->samples, 1);
        p.deepest_ports.push_back(std::move(q));
    }
}

std::string name_of(const Fabric& fabric, std::uint32_t link) {
    return link == kNone ? std::string() : fabric.name_of(LinkId{link});
}

/// Numbers the roots of spans, those that pause longest first.
void number_roots(const Fabric& fabric, PacketSummary& p) {
    std::map<std::size_t, std::int64_t> paused;  // by link
    for (PausedPort& port : p.paused_ports) {
        std::map<std::size_t, std::int64_t> here;
        for (const PausedPort::Span& s : port.spans) here[s.root] += s.paused.ps();
        port.root = std::max_element(here.begin(), here.end(), [](const auto& a, const auto& b) {
                        return a.second < b.second;
                    })->first;
        for (const auto& [root, time] : here) paused[root] += time;
    }
    std::vector<std::size_t> order;
    for (const auto& [root, time] : paused) order.push_back(root);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return paused[a] > paused[b]; });
    const auto number = [&](std::size_t root) {
        return static_cast<std::size_t>(std::find(order.begin(), order.end(), root) -
                                        order.begin());
    };
    for (PausedPort& port : p.paused_ports) {
        port.root = number(port.root);
        for (PausedPort::Span& s : port.spans) s.root = number(s.root);
    }
    for (const std::size_t root : order)
        p.pause_roots.push_back(name_of(fabric, static_cast<std::uint32_t>(root)));
}

void add_pauses(const Fabric& fabric, const Network& network, const Recorder& r, PacketSummary& p) {
    struct Paused {
        std::int64_t paused = 0;
        std::vector<PausedPort::Span> spans;
    };
    std::map<std::uint32_t, Paused> ports;
    for (const PauseSpan& s : r.pauses.spans()) {
        Paused& x = ports[s.port];
        x.paused += s.paused;
        x.spans.push_back({SimTime{s.from}, SimTime{s.to}, s.pauses, ps(s.paused), s.root});
    }
    std::vector<std::uint32_t> order;
    for (const auto& [link, x] : ports) order.push_back(link);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::tuple(-ports[a].paused, a) < std::tuple(-ports[b].paused, b);
    });
    order.resize(std::min(order.size(), kPausedPorts));
    for (std::uint32_t l = 0; l < fabric.links().size(); ++l)
        if (network.counts(LinkId{l}).pauses > 0) ++p.ports_paused;
    p.pause_gap = ps(r.pauses.gap());
    for (const std::uint32_t link : order) {
        const PortCounts& n = network.counts(LinkId{link});
        p.paused_ports.push_back({.name = fabric.name_of(LinkId{link}),
                                  .pauses = n.pauses,
                                  .paused = ps(ports[link].paused),
                                  .storms = n.storms,
                                  .spans = std::move(ports[link].spans)});
    }
    number_roots(fabric, p);
}

void add_victims(const Fabric& fabric, const Network& network, const Recorder& r,
                 PacketSummary& p) {
    const std::vector<Victim>& flows = r.victims.flows();
    std::vector<std::uint32_t> order;
    for (std::uint32_t f = 0; f < flows.size(); ++f)
        if (flows[f].waited > 0) {
            order.push_back(f);
            p.held += ps(flows[f].waited);
        }
    p.flows_held = order.size();
    p.connections = network.connections();
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::tie(flows[b].waited, a) < std::tie(flows[a].waited, b);
    });
    order.resize(std::min(order.size(), kVictims));
    for (const std::uint32_t f : order) {
        const auto [from, to] = network.ends(f);
        p.victims.push_back({.from = fabric.name_of(from),
                             .to = fabric.name_of(to),
                             .waited = ps(flows[f].waited),
                             .held_at = name_of(fabric, flows[f].held_at),
                             .root = name_of(fabric, flows[f].root)});
    }
}

void add_memory(const Network& network, PacketSummary& p) {
    const Memory m = network.memory();
    p.memory = {.all = m.packets + m.events + m.links + m.switches + m.connections + m.records,
                .packets = m.packets,
                .a_switch = network.memories().empty() ? 0 : m.switches / network.memories().size(),
                .a_flow = network.connections() == 0 ? 0 : m.connections / network.connections(),
                .records = m.records};
}

}  // namespace

PacketSummary summarize(const Fabric& fabric, const Network& network) {
    PacketSummary p;
    add_totals(network.totals(), p);
    add_memory(network, p);
    for (std::uint32_t l = 0; l < fabric.links().size(); ++l) {
        const PortCounts& n = network.counts(LinkId{l});
        if (n.paused > p.paused) {
            p.paused = n.paused;
            p.paused_link = fabric.name_of(LinkId{l});
        }
        if (Bytes{n.most_queued} > p.deepest) {
            p.deepest = Bytes{n.most_queued};
            p.deepest_link = fabric.name_of(LinkId{l});
        }
    }
    const std::unique_ptr<Recorder> r = network.record();
    if (!r) return p;
    p.sample = r->series.length();
    p.begin = r->series.started();
    p.end = network.now();
    add_groups(fabric, *r, p);
    add_deepest(fabric, *r, p);
    add_pauses(fabric, network, *r, p);
    add_victims(fabric, network, *r, p);
    return p;
}

}  // namespace weft::packet
