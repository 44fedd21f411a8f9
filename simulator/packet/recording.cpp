// What the Network tells its Recorder.
#include <algorithm>
#include <bit>
#include <map>
#include <tuple>

#include "simulator/packet/network.hpp"

namespace weft::packet {
namespace {

constexpr std::int64_t kLookAgain = 1'000'000;  // ps: after so long, for the deepest queue

/// The length of the first samples: the more ports, the fewer of them.
SimDuration first_length(std::size_t links) {
    constexpr std::int64_t kFew = 256;
    constexpr std::int64_t kMost = 16;
    const auto times = static_cast<std::int64_t>(std::bit_floor(links / kFew + 1));
    return std::min(times, kMost) * ns(100);
}

std::vector<std::uint16_t> group_ports(const Fabric& fabric, std::vector<PortGroup>& groups) {
    std::map<std::tuple<LinkKind, int, int, bool>, std::uint16_t> index;
    std::vector<std::uint16_t> group_of;
    for (std::uint32_t l = 0; l < fabric.links().size(); ++l) {
        const Link& x = fabric.links()[l];
        const bool up = fabric.leads_up(LinkId{l});
        const auto [at, fresh] = index.try_emplace({x.kind, x.tier, x.plane, up},
                                                   static_cast<std::uint16_t>(groups.size()));
        if (fresh) groups.push_back({.kind = x.kind, .tier = x.tier, .plane = x.plane, .up = up});
        PortGroup& g = groups[at->second];
        ++g.ports;
        g.rate = g.rate + x.capacity;
        group_of.push_back(at->second);
    }
    return group_of;
}

}  // namespace

Recorder::Recorder(const Fabric& fabric)
    : group_of(group_ports(fabric, groups)),
      series(group_of, groups.size(), first_length(fabric.links().size())),
      victims(fabric.links().size()),
      place(fabric.links().size(), kNone) {}

std::size_t Recorder::bytes() const {
    return series.bytes() + pauses.bytes() + victims.bytes() + active.capacity() * sizeof(Active) +
           deepest.capacity() * sizeof(Deepest) +
           (place.capacity() + awake.capacity()) * sizeof(std::uint32_t) +
           group_of.capacity() * sizeof(std::uint16_t);
}

void Network::start_recording() {
    recorder_ = std::make_unique<Recorder>(*fabric_);
    recorder_->deepest.resize(memories_.size());
    for (Port& p : ports_) p.awake = false;
}

/// A port has something to tell at the next sample; samples begin with the first of all.
void Network::wake(std::uint32_t link) {
    Recorder& r = *recorder_;
    ports_[link].awake = true;
    if (r.active.empty()) {
        r.series.start(now());
        sample_at_ = r.series.ends().ps();
    }
    if (r.place[link] == kNone) {
        r.place[link] = static_cast<std::uint32_t>(r.active.size());
        r.active.push_back({.link = link});
    }
    r.awake.push_back(r.place[link]);
}

/// What a port has done since the last sample was over.
PortSample Network::since_sample(std::size_t active, SimTime at) const {
    const Recorder::Active& then = recorder_->active[active];
    const Port& p = ports_[then.link];
    const PortCounts& n = counts_[then.link];
    const std::int64_t paused = n.paused.ps() + (p.paused ? at.ps() - p.paused_at : 0);
    return {.most = p.queue[kPayload].most,
            .marked = static_cast<std::uint32_t>(n.marked) - then.marked,
            .lost = static_cast<std::uint32_t>(n.dropped + n.trimmed - then.lost),
            .pauses = static_cast<std::uint32_t>(n.pauses - then.pauses),
            .sent = n.bytes - then.sent,
            .queued = p.queue[kPayload].bytes,
            .paused = paused - then.paused};
}

/// All samples that were over before now.
void Network::take_samples() {
    Recorder& r = *recorder_;
    while (r.series.ends() <= now()) {
        std::size_t kept = 0;
        for (const std::uint32_t i : r.awake) {
            const PortSample s = since_sample(i, r.series.ends());
            Recorder::Active& then = r.active[i];
            Port& p = ports_[then.link];
            Queue& q = p.queue[kPayload];
            q.most = q.bytes;
            then.marked += s.marked;
            then.lost += s.lost;
            then.sent += s.sent;
            then.pauses += s.pauses;
            then.paused += s.paused;
            r.series.add(then.link, s);
            p.awake = !q.empty() || p.paused;
            if (p.awake) r.awake[kept++] = i;
        }
        r.awake.resize(kept);
        r.series.close();
    }
    sample_at_ = r.series.ends().ps();
}

/// The switch behind `in_link` pauses it: because of which port?
void Network::record_cause(std::uint32_t in_link) {
    Recorder& r = *recorder_;
    const std::uint32_t memory = ports_[reverse(LinkId{in_link}).index()].memory;
    Recorder::Deepest& d = r.deepest[memory];
    if (now().ps() - d.at >= kLookAgain) {
        d = {.at = now().ps(), .link = kNone};
        std::uint32_t most = 0;
        for (const LinkId l : fabric_->out(NodeId{ports_[in_link].to})) {
            const std::uint32_t waiting = ports_[l.index()].queue[kPayload].bytes;
            if (waiting <= most) continue;
            most = waiting;
            d.link = l.value();
        }
    }
    std::uint32_t root = d.link;
    if (root != kNone) {
        const Port& out = ports_[root];
        const PacketId oldest = out.queue[kPayload].head;
        const bool stood = out.paused || (oldest != kNone && pool_[oldest].at < out.resumed_at);
        const std::uint32_t before = stood ? r.victims.root_of(root) : kNone;
        if (before != kNone) root = before;
    }
    r.victims.will_pause(in_link, root);
}

/// The pause of a port is over.
void Network::record_pause(std::uint32_t link, std::int64_t to) {
    Port& p = ports_[link];
    recorder_->pauses.add(link, recorder_->victims.root_of(link), p.paused_at, to);
    recorder_->victims.resume(link, p.paused_at, to);
    p.resumed_at = to;
}

/// A packet of the connection has waited at a port since `from`, or could have been sent since.
void Network::record_held(Recorder& r, std::uint32_t link, ConnectionId id,
                          std::int64_t from) const {
    const Port& p = ports_[link];
    r.victims.held(id, link, from, p.paused ? p.paused_at : now().ps(), now().ps(),
                   [&](std::uint32_t root, std::int64_t since) {
                       return shares(id, root) || crosses_root(r.victims, id, since);
                   });
}

/// A port of the connection's path has been the root of a pause since then.
bool Network::crosses_root(const Victims& v, ConnectionId id, std::int64_t since) const {
    for (std::uint32_t r = connections_[id].first_there; routes_[r] != kNone; ++r)
        if (v.is_root(routes_[r], since)) return true;
    return false;
}

/// What waits at ports that are paused now.
void Network::record_still_held(Recorder& r) const {
    for (std::uint32_t l = 0; l < ports_.size(); ++l) {
        const Port& p = ports_[l];
        if (!p.paused) continue;
        for (PacketId id = p.queue[kPayload].head; id != kNone; id = pool_[id].next)
            if (pool_[id].kind == Kind::kData) record_held(r, l, pool_[id].flow, pool_[id].at);
        for (ConnectionId c = p.ring_head; c != kNone; c = connections_[c].ring)
            record_held(r, l, c, connections_[c].ready_at);
        r.pauses.add(l, r.victims.root_of(l), p.paused_at, now().ps());
    }
}

/// Packets of the connection go over the link; or may, where they are spread.
bool Network::shares(ConnectionId id, std::uint32_t link) const {
    const Connection& c = connections_[id];
    const auto first = routes_.begin() + c.first_there;
    const auto end = std::find(first, routes_.end(), kNone);
    if (std::find(first, end, link) != end) return true;
    if (c.row == kNone || fabric_->links()[link].kind != LinkKind::kFabric) return false;
    const auto ways = forwarding_.next(c.row, fabric_->links()[link].from);
    return std::find(ways.begin(), ways.end(), link) != ways.end();
}

std::unique_ptr<Recorder> Network::record() const {
    if (!recorder_) return nullptr;
    auto r = std::make_unique<Recorder>(*recorder_);
    const SimTime begun = r->series.ends() - r->series.length();
    if (now() > begun && !r->active.empty()) {
        for (const std::uint32_t i : r->awake)
            r->series.add(r->active[i].link, since_sample(i, now()));
        r->series.close();
    }
    record_still_held(*r);
    return r;
}

std::pair<NodeId, NodeId> Network::ends(ConnectionId id) const {
    const Connection& c = connections_[id];
    const auto first = routes_.begin() + c.first_there;
    const auto end = std::find(first, routes_.end(), kNone);
    return {fabric_->links()[*first].from, fabric_->links()[*(end - 1)].to};
}

Memory Network::memory() const {
    Memory m{.packets = pool_.bytes() + extras_.capacity() * sizeof(Extra),
             .events = wheel_.bytes(),
             .links = ports_.capacity() * sizeof(Port) + counts_.capacity() * sizeof(PortCounts) +
                      watches_.capacity() * sizeof(Watch),
             .connections = connections_.capacity() * sizeof(Connection) +
                            routes_.capacity() * sizeof(std::uint32_t) +
                            messages_.capacity() * sizeof(Message),
             .records = recorder_ ? recorder_->bytes() : 0};
    for (const SharedBuffer& b : memories_) m.switches += b.bytes();
    for (const Connection& c : connections_)
        m.connections += c.arrived.bytes() + c.arrived_there.bytes() +
                         c.again.capacity() * sizeof(std::uint32_t);
    return m;
}

}  // namespace weft::packet
