#include "topology/routing/router.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft {
namespace {

using Distance = std::uint16_t;
constexpr Distance kFar = std::numeric_limits<Distance>::max();

void relax(Distance& d, Distance neighbour) {
    if (neighbour != kFar) d = std::min<Distance>(d, static_cast<Distance>(neighbour + 1));
}

}  // namespace

SimDuration latency(const Fabric& fabric, const Route& route) {
    SimDuration sum;
    for (const LinkId l : route.links) sum += fabric.link(l).latency;
    return sum;
}

Bandwidth bottleneck(const Fabric& fabric, const Route& route, const Health* health) {
    Bandwidth least{std::numeric_limits<std::int64_t>::max()};
    for (const LinkId l : route.links)
        least = std::min(least, health != nullptr ? health->rate(l) : fabric.link(l).capacity);
    return least;
}

/// Hops to a set of ToRs, by index of switch: `down` on ways that only descend, `best` on ways that
/// ascend first. A way never ascends after it has descended (no valleys), as BGP in a Clos has it.
struct Router::Field {
    std::vector<Distance> down;
    std::vector<Distance> best;
    std::vector<std::vector<LinkId>> next;  // filled on first use
    std::vector<bool> known;
};

struct Router::Cache {
    std::unique_ptr<Health> own_health;    // when the caller gave none and the fabric is impaired
    std::vector<std::uint32_t> switch_of;  // node -> index of switch
    std::vector<NodeId> by_tier;           // switches, highest tier first
    std::vector<std::vector<LinkId>> trunks;  // egress links of a switch to switches
    bool tiered = true;                       // no trunk joins two switches of one tier
    std::map<std::vector<NodeId>, Field> fields;
    std::vector<std::uint32_t> used;  // per link: the disjoint_paths() call that took it
    std::vector<std::uint32_t> dead;  // per switch: the call that found no way on from it
    std::uint32_t call = 0;
};

/// One disjoint_paths() call.
struct Router::Walk {
    Field& field;
    std::uint64_t rotation;
};

Router::Router(const Fabric& fabric, RoutingOptions options, const Health* health)
    : fabric_(&fabric), health_(health), options_(options), cache_(std::make_unique<Cache>()) {
    Cache& c = *cache_;
    if (health_ == nullptr && !fabric.impairments().empty()) {
        c.own_health = std::make_unique<Health>(fabric);
        health_ = c.own_health.get();
    }
    c.switch_of.assign(fabric.nodes().size(), 0);
    for (std::size_t i = 0; i < fabric.nodes().size(); ++i) {
        if (fabric.nodes()[i].kind != NodeKind::kSwitch) continue;
        c.switch_of[i] = static_cast<std::uint32_t>(c.by_tier.size());
        c.by_tier.emplace_back(i);
        c.trunks.emplace_back();
        for (const LinkId l : fabric.out(NodeId{i})) {
            if (fabric.link(l).kind != LinkKind::kFabric) continue;
            c.trunks.back().push_back(l);
            if (fabric.node(fabric.link(l).to).tier == fabric.nodes()[i].tier) c.tiered = false;
        }
    }
    std::stable_sort(c.by_tier.begin(), c.by_tier.end(),
                     [&](NodeId a, NodeId b) { return fabric.node(a).tier > fabric.node(b).tier; });
    c.used.assign(fabric.links().size(), 0);
    c.dead.assign(c.by_tier.size(), 0);
}

Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::health_changed() {
    cache_->fields.clear();
}

NicId Router::nic_for(GpuId gpu, std::int32_t rail) const {
    const Gpu& g = fabric_->gpu(gpu);
    for (const NicId n : g.nics)
        if (rail != kAny && fabric_->nic(n).rail == rail) return n;
    return g.nics.empty() ? NicId{} : g.nics.front();
}

Edge Router::edge(GpuId src, GpuId dst, std::int32_t rail) const {
    Edge e{.src = src, .dst = dst, .src_nic = {}, .dst_nic = {}};
    if (src == dst || scale_up(src, dst)) return e;
    e.src_nic = nic_for(src, rail);
    e.dst_nic = nic_for(dst, rail);
    const bool both = e.src_nic.valid() && e.dst_nic.valid() &&
                      fabric_->nic(e.src_nic).rail == rail && fabric_->nic(e.dst_nic).rail == rail;
    if (!both) {
        e.src_nic = nic_for(src);
        e.dst_nic = nic_for(dst);
    }
    // Without a NIC at both ends nothing but the scale-up domain could carry it.
    if (!e.src_nic.valid() || !e.dst_nic.valid()) e.src_nic = e.dst_nic = NicId{};
    return e;
}

std::vector<Edge> Router::edges(GpuId src, GpuId dst, std::int32_t rail) const {
    const Edge nearest = edge(src, dst, rail);
    std::vector<Edge> all;
    if (rail == kAny && nearest.src_nic.valid())
        for (const NicId n : fabric_->gpu(src).nics) {
            const NicId far = nic_for(dst, fabric_->nic(n).rail);
            if (fabric_->nic(far).rail == fabric_->nic(n).rail)
                all.push_back({.src = src, .dst = dst, .src_nic = n, .dst_nic = far});
        }
    if (all.empty()) all.push_back(nearest);
    return all;
}

std::optional<Route> Router::scale_up(GpuId src, GpuId dst) const {
    for (const LinkId a : fabric_->out(fabric_->gpu(src).node)) {
        if (fabric_->link(a).kind != LinkKind::kScaleUp || !up(a)) continue;
        if (fabric_->link(a).to == fabric_->gpu(dst).node) return Route{{a}};
        for (const LinkId b : fabric_->out(fabric_->gpu(dst).node))
            if (fabric_->link(b).kind == LinkKind::kScaleUp && up(reverse(b)) &&
                fabric_->link(b).to == fabric_->link(a).to)
                return Route{{a, reverse(b)}};
    }
    return std::nullopt;
}

LinkId Router::pcie_link(GpuId gpu, NicId nic) const {
    for (const LinkId l : fabric_->out(fabric_->gpu(gpu).node))
        if (fabric_->link(l).kind == LinkKind::kPcie &&
            fabric_->link(l).to == fabric_->nic(nic).node)
            return l;
    check_failed(__FILE__, __LINE__, "the GPU has a link to its NIC", "");
}

Router::Field& Router::field(const std::vector<NodeId>& tors) const {
    Cache& c = *cache_;
    const auto [at, fresh] = c.fields.try_emplace(tors);
    Field& f = at->second;
    if (!fresh) return f;
    f.down.assign(c.by_tier.size(), kFar);
    f.next.resize(c.by_tier.size());
    f.known.assign(c.by_tier.size(), false);
    std::vector<NodeId> queue = tors;
    for (const NodeId t : tors) f.down[c.switch_of[t.index()]] = 0;
    for (std::size_t head = 0; head < queue.size(); ++head) {
        const NodeId y = queue[head];
        for (const LinkId l : c.trunks[c.switch_of[y.index()]]) {
            const NodeId x = fabric_->link(l).to;
            Distance& d = f.down[c.switch_of[x.index()]];
            const bool descends = fabric_->node(x).tier > fabric_->node(y).tier;
            if (d != kFar || !up(reverse(l)) || (c.tiered && !descends)) continue;
            relax(d, f.down[c.switch_of[y.index()]]);
            queue.push_back(x);
        }
    }
    f.best = f.down;
    if (!c.tiered) return f;
    for (const NodeId x : c.by_tier)
        for (const LinkId l : c.trunks[c.switch_of[x.index()]]) {
            const NodeId y = fabric_->link(l).to;
            if (up(l) && fabric_->node(y).tier > fabric_->node(x).tier)
                relax(f.best[c.switch_of[x.index()]], f.best[c.switch_of[y.index()]]);
        }
    return f;
}

const std::vector<LinkId>& Router::next_hops(Field& f, NodeId at) const {
    const Cache& c = *cache_;
    const std::uint32_t x = c.switch_of[at.index()];
    if (f.known[x]) return f.next[x];
    f.known[x] = true;
    const bool descend = f.best[x] == f.down[x];
    for (const LinkId l : c.trunks[x]) {
        const NodeId to = fabric_->link(l).to;
        const std::uint32_t y = c.switch_of[to.index()];
        const bool down = fabric_->node(to).tier < fabric_->node(at).tier;
        if (!up(l) || (c.tiered && down != descend)) continue;
        const Distance d = descend ? f.down[y] : f.best[y];
        if (d != kFar && d + 1 == f.best[x]) f.next[x].push_back(l);
    }
    return f.next[x];
}

const std::vector<LinkId>& Router::next_hops(NodeId at, NodeId last) const {
    return next_hops(field({last}), at);
}

std::vector<LinkId> Router::arrivals(NicId src, std::size_t port, NicId dst) const {
    std::vector<LinkId> in;
    const LinkId out = fabric_->nic(src).ports[port];
    if (!up(out)) return in;
    const bool planar = fabric_->port_mode() == PortMode::kDualPlane;
    for (const LinkId l : fabric_->nic(dst).ports) {
        if (!up(reverse(l))) continue;
        if (planar && fabric_->link(l).plane != fabric_->link(out).plane) continue;
        in.push_back(reverse(l));
    }
    return in;
}

namespace {

std::vector<NodeId> tors_of(const Fabric& fabric, const std::vector<LinkId>& arrivals) {
    std::vector<NodeId> tors;
    for (const LinkId l : arrivals) tors.push_back(fabric.link(l).from);
    std::sort(tors.begin(), tors.end());
    tors.erase(std::unique(tors.begin(), tors.end()), tors.end());
    return tors;
}

/// Port of the switch that the packet came in by, counted over the switch's egress links.
std::uint32_t ingress_port(const Fabric& fabric, NodeId at, LinkId in) {
    const auto out = fabric.out(at);
    return static_cast<std::uint32_t>(std::find(out.begin(), out.end(), reverse(in)) - out.begin());
}

}  // namespace

std::size_t Router::ports(const Edge& e) const {
    return e.scale_up() ? 1 : fabric_->nic(e.src_nic).ports.size();
}

std::uint32_t Router::pick(std::uint32_t crc, NodeId at, std::size_t n) const {
    const std::uint64_t seed = options_.hash.seed_of(fabric_->node(at).tier, at.value());
    return EcmpHash::pick(crc, seed, static_cast<std::uint32_t>(n));
}

std::optional<std::size_t> Router::choose_port(const Edge& e, std::uint32_t crc,
                                               std::optional<std::size_t> bound) const {
    std::vector<std::size_t> candidates;
    for (std::size_t p = 0; p < ports(e); ++p) {
        const std::vector<LinkId> in = arrivals(e.src_nic, p, e.dst_nic);
        if (in.empty()) continue;
        const NodeId tor = fabric_->link(fabric_->nic(e.src_nic).ports[p]).to;
        const Field& f = field(tors_of(*fabric_, in));
        if (f.best[cache_->switch_of[tor.index()]] == kFar) continue;
        if (bound == p) return p;
        candidates.push_back(p);
    }
    if (candidates.empty()) return std::nullopt;
    return candidates[pick(crc, fabric_->nic(e.src_nic).node, candidates.size())];
}

std::optional<Route> Router::ecmp(const Edge& e, std::uint16_t udp_source_port,
                                  std::optional<std::size_t> nic_port) const {
    if (e.src == e.dst) return Route{};
    if (e.scale_up()) return scale_up(e.src, e.dst);
    const LinkId first = pcie_link(e.src, e.src_nic);
    const LinkId last = reverse(pcie_link(e.dst, e.dst_nic));
    if (!up(first) || !up(last)) return std::nullopt;
    if (e.src_nic == e.dst_nic) return Route{{first, last}};

    const std::uint32_t crc = crc32({.src_address = e.src_nic.value(),
                                     .dst_address = e.dst_nic.value(),
                                     .src_port = udp_source_port});
    const std::optional<std::size_t> port = choose_port(e, crc, nic_port);
    if (!port) return std::nullopt;
    std::vector<LinkId> in = arrivals(e.src_nic, *port, e.dst_nic);
    Field& f = field(tors_of(*fabric_, in));

    Route route{{first, fabric_->nic(e.src_nic).ports[*port]}};
    NodeId at = fabric_->link(route.links.back()).to;
    while (f.best[cache_->switch_of[at.index()]] != 0) {
        const std::vector<LinkId>& hops = next_hops(f, at);
        WEFT_CHECK(!hops.empty(), "no way on from {}", fabric_->name_of(at));
        const std::size_t choice =
            hashes_by_ingress(at) ? ingress_port(*fabric_, at, route.links.back()) % hops.size()
                                  : pick(crc, at, hops.size());
        route.links.push_back(hops[choice]);
        at = fabric_->link(hops[choice]).to;
    }
    std::erase_if(in, [&](LinkId l) { return fabric_->link(l).from != at; });
    route.links.push_back(in[pick(crc, at, in.size())]);
    route.links.push_back(last);
    return route;
}

bool Router::hashes_by_ingress(NodeId at) const {
    constexpr std::int32_t kCoreTier = 3;
    if (!fabric_->core_hash_by_ingress() || fabric_->node(at).tier != kCoreTier) return false;
    if (health_ == nullptr) return true;
    const auto out = fabric_->out(at);
    return std::all_of(out.begin(), out.end(), [&](LinkId l) { return up(l); });
}

bool Router::find_disjoint(Walk& walk, NodeId at, std::vector<LinkId>& path) const {
    Cache& c = *cache_;
    const std::uint32_t x = c.switch_of[at.index()];
    if (walk.field.best[x] == 0) return true;
    if (c.dead[x] == c.call) return false;
    const std::vector<LinkId>& hops = next_hops(walk.field, at);
    // A switch that hashes by ingress port leaves no choice; from another port it may have a way.
    const bool forced = !path.empty() && hashes_by_ingress(at);
    const std::uint64_t start =
        forced ? ingress_port(*fabric_, at, path.back()) : mix64(walk.rotation, walk.field.best[x]);
    for (std::size_t i = 0; i < (forced ? 1 : hops.size()); ++i) {
        const LinkId l = hops[(start + i) % hops.size()];
        if (c.used[l.index()] == c.call) continue;
        path.push_back(l);
        if (find_disjoint(walk, fabric_->link(l).to, path)) {
            c.used[l.index()] = c.call;
            return true;
        }
        path.pop_back();
    }
    if (!forced) c.dead[x] = c.call;
    return false;
}

std::vector<Route> Router::disjoint_paths(const Edge& e, std::size_t port, std::size_t max,
                                          std::uint64_t seed) const {
    std::vector<Route> routes;
    if (max == 0) return routes;
    if (e.src == e.dst) return {Route{}};
    if (e.scale_up()) {
        if (std::optional<Route> r = scale_up(e.src, e.dst)) routes.push_back(std::move(*r));
        return routes;
    }
    WEFT_CHECK(port < ports(e), "port {} of {}", port, ports(e));
    const LinkId first = pcie_link(e.src, e.src_nic);
    const LinkId last = reverse(pcie_link(e.dst, e.dst_nic));
    if (!up(first) || !up(last)) return routes;
    if (e.src_nic == e.dst_nic) return {Route{{first, last}}};

    const LinkId out = fabric_->nic(e.src_nic).ports[port];
    const NodeId tor = fabric_->link(out).to;
    std::vector<LinkId> in = arrivals(e.src_nic, port, e.dst_nic);
    const Nic& dst = fabric_->nic(e.dst_nic);
    // Arriving at the port of the same number keeps the two ports of the destination even.
    if (port < dst.ports.size() && up(reverse(dst.ports[port])) && !in.empty()) {
        const std::vector<LinkId> same{reverse(dst.ports[port])};
        const Field& f = field(tors_of(*fabric_, same));
        if (f.best[cache_->switch_of[tor.index()]] != kFar) in = same;
    }
    if (in.empty()) return routes;
    Walk walk{.field = field(tors_of(*fabric_, in)),
              .rotation = mix64(mix64(e.src_nic.value(), e.dst_nic.value()), seed)};
    if (walk.field.best[cache_->switch_of[tor.index()]] == kFar) return routes;
    ++cache_->call;
    std::vector<LinkId> path;
    while (routes.size() < max) {
        path.clear();
        if (!find_disjoint(walk, tor, path)) break;
        const NodeId end = path.empty() ? tor : fabric_->link(path.back()).to;
        const auto arrival = std::find_if(in.begin(), in.end(),
                                          [&](LinkId l) { return fabric_->link(l).from == end; });
        Route r;
        r.links.reserve(path.size() + 4);
        r.links.assign({first, out});
        r.links.insert(r.links.end(), path.begin(), path.end());
        r.links.push_back(*arrival);
        r.links.push_back(last);
        routes.push_back(std::move(r));
        if (path.empty()) break;  // one ToR: there is only one way
    }
    return routes;
}

}  // namespace weft
