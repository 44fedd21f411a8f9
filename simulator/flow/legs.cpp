#include "simulator/flow/legs.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft::flow {
namespace {

constexpr std::uint32_t kStaticQps = 4;
constexpr std::uint16_t kFirstUdpPort = 49152;
constexpr std::uint64_t kUdpPorts = 16384;

std::uint64_t pair_key(std::uint32_t a, std::uint32_t b) {
    return (std::uint64_t{a} << 32) | b;
}

/// Parts of kOne in proportion to `sizes`, rounded up.
std::uint32_t part(std::int64_t size, std::int64_t total) {
    return static_cast<std::uint32_t>(ceil_div(Int128{size} * kOne, total));
}

}  // namespace

LegId Legs::add(std::span<const LegPart> parts) {
    parts_.insert(parts_.end(), parts.begin(), parts.end());
    first_.push_back(static_cast<std::uint32_t>(parts_.size()));
    return static_cast<LegId>(size() - 1);
}

void EdgeLanes::clear() {
    first.assign(1, 0);
    legs.clear();
    before.clear();
    capacity.clear();
    latency = {};
    alone = 0;
    scale_up = false;
}

void EdgeLanes::end_lane(std::int64_t lane_capacity) {
    legs.insert(legs.end(), before.begin(), before.end());
    first.push_back(static_cast<std::uint32_t>(legs.size()));
    capacity.push_back(lane_capacity);
    alone += lane_capacity;
}

LaneMaker::LaneMaker(const Fabric& fabric, const Health& health, const Library& library,
                     const EcmpHash& hash, Legs& legs)
    : fabric_(&fabric),
      health_(&health),
      router_(fabric, {.hash = hash}, &health),
      legs_(&legs),
      seed_(hash.seed),
      qps_(library.qps_per_connection),
      pooled_(!splits_statically(library)),
      pxn_(uses_pxn(library)) {
    if (!pooled_ && qps_ == 0) qps_ = kStaticQps;
}

LegId LaneMaker::series(std::span<const LinkId> links) {
    std::vector<LinkId> key(links.begin(), links.end());
    const auto found = series_.find(key);
    if (found != series_.end()) return found->second;
    std::vector<LegPart> parts;
    for (const LinkId l : links) parts.push_back({l, kOne});
    const LegId id = legs_->add(parts);
    series_.emplace(std::move(key), id);
    return id;
}

void LaneMaker::edge(const Placement& placement, RankId src, RankId dst, std::int32_t rail,
                     std::size_t channel, EdgeLanes& out) {
    out.clear();
    const Edge e = router_.edge(placement.gpu(src), placement.gpu(dst), rail);
    if (e.scale_up()) return scale_up(e, out);
    if (!e.src_nic.valid() || !e.dst_nic.valid()) return;
    const GpuId via = pxn_ ? relay(e) : e.src;
    const Edge last = via == e.src ? e : router_.edge(via, e.dst, rail);
    if (via != e.src) cross(router_.edge(e.src, via), out);
    if (pooled_) {
        const SimDuration to_relay = out.latency;
        for (const Edge& way : router_.edges(via, e.dst, rail)) spread(way, to_relay, out);
        return;
    }
    hashed(last, src, dst, channel, out);
}

GpuId LaneMaker::relay(const Edge& e) const {
    if (fabric_->nic(e.src_nic).rail == fabric_->nic(e.dst_nic).rail) return e.src;
    const Gpu& src = fabric_->gpu(e.src);
    const std::int64_t index = std::int64_t{e.src.value()} - src.local + fabric_->gpu(e.dst).local;
    if (index < 0 || index >= static_cast<std::int64_t>(fabric_->gpus().size())) return e.src;
    const GpuId via{static_cast<std::uint32_t>(index)};
    const bool fits = fabric_->gpu(via).host == src.host &&
                      fabric_->gpu(via).local == fabric_->gpu(e.dst).local &&
                      router_.edge(e.src, via).scale_up();
    return fits ? via : e.src;
}

void LaneMaker::cross(const Edge& e, EdgeLanes& out) {
    const std::vector<Route> routes = router_.disjoint_paths(e, 0, 1, seed_);
    if (routes.empty()) return;
    for (const LinkId& l : routes.front().links) out.before.push_back({series({&l, 1}), kOne});
    out.latency = latency(*fabric_, routes.front());
}

void LaneMaker::scale_up(const Edge& e, EdgeLanes& out) {
    out.scale_up = true;
    const std::vector<Route> routes = router_.disjoint_paths(e, 0, 1, seed_);
    if (routes.empty()) return;
    for (const LinkId& l : routes.front().links) out.legs.push_back({series({&l, 1}), kOne});
    out.latency = latency(*fabric_, routes.front());
    out.end_lane(bottleneck(*fabric_, routes.front(), health_).bits_per_second());
}

LinkId LaneMaker::reducing_switch(GpuId gpu) const {
    for (const LinkId l : fabric_->out(fabric_->gpu(gpu).node))
        if (fabric_->link(l).kind == LinkKind::kScaleUp &&
            fabric_->node(fabric_->link(l).to).in_network && health_->up(l) &&
            health_->up(reverse(l)))
            return l;
    return LinkId::none();
}

void LaneMaker::one_link(LinkId link, EdgeLanes& out) {
    out.clear();
    out.scale_up = true;
    out.legs.push_back({series({&link, 1}), kOne});
    out.latency = fabric_->link(link).latency;
    out.end_lane(health_->rate(link).bits_per_second());
}

const End& LaneMaker::end(GpuId gpu, NicId nic) {
    const auto [slot, fresh] = ends_.try_emplace(pair_key(gpu.value(), nic.value()));
    if (!fresh) return slot->second;
    End& e = slot->second;
    LinkId pcie;
    for (const LinkId l : fabric_->out(fabric_->gpu(gpu).node))
        if (fabric_->link(l).to == fabric_->nic(nic).node) pcie = l;
    WEFT_CHECK(pcie.valid(), "GPU {} has no way to NIC {}", gpu.value(), nic.value());
    const auto rate = [&](LinkId l) { return health_->rate(l).bits_per_second(); };
    std::vector<std::int64_t> key{rate(pcie), rate(reverse(pcie))};
    for (const LinkId port : fabric_->nic(nic).ports) {
        const LinkId out[] = {pcie, port};
        const LinkId in[] = {reverse(port), reverse(pcie)};
        e.out.push_back(series(out));
        e.in.push_back(series(in));
        key.insert(key.end(), {fabric_->link(port).to.value(), rate(port), rate(reverse(port))});
    }
    const auto next = static_cast<std::uint32_t>(attachments_.size());
    e.attachment = attachments_.try_emplace(std::move(key), next).first->second;
    return e;
}

const Trunk& LaneMaker::trunk(const Edge& e, std::size_t port) {
    // Every disjoint path: the same for all ends that hang on the same switches. A few of them: the
    // choice is the NIC pair's own.
    std::uint32_t a = e.src_nic.value();
    std::uint32_t b = e.dst_nic.value();
    if (qps_ == 0) {
        a = end(e.src, e.src_nic).attachment;
        b = end(e.dst, e.dst_nic).attachment | (1U << 27);
    }
    const std::uint64_t key = (pair_key(a, b) << 4) | port;
    WEFT_CHECK(a < (1U << 28) && b < (1U << 28) && port < 16, "trunk key out of range");
    const auto [slot, fresh] = trunks_.try_emplace(key);
    if (fresh) slot->second = make_trunk(e, port);
    return slot->second;
}

Trunk LaneMaker::make_trunk(const Edge& e, std::size_t port) {
    const std::size_t max = qps_ == 0 ? std::numeric_limits<std::size_t>::max() : qps_;
    const std::vector<Route> routes = router_.disjoint_paths(e, port, max, seed_);
    const Nic& dst = fabric_->nic(e.dst_nic);
    Trunk t;
    std::int64_t total = 0;
    std::vector<std::vector<LegPart>> parts(dst.ports.size());
    std::vector<std::int64_t> by_port(dst.ports.size(), 0);
    for (const Route& r : routes) {
        const std::int64_t rate = bottleneck(*fabric_, r, health_).bits_per_second();
        total += rate;
        t.latency = std::max(t.latency, latency(*fabric_, r));
        std::size_t in_port = 0;
        while (reverse(dst.ports[in_port]) != r.links[r.links.size() - 2]) ++in_port;
        by_port[in_port] += rate;
    }
    if (routes.empty()) return t;
    for (const Route& r : routes) {
        if (r.links.size() <= 4) continue;  // PCIe, access, access, PCIe
        std::size_t in_port = 0;
        while (reverse(dst.ports[in_port]) != r.links[r.links.size() - 2]) ++in_port;
        const std::int64_t rate = bottleneck(*fabric_, r, health_).bits_per_second();
        for (std::size_t i = 2; i + 2 < r.links.size(); ++i)
            parts[in_port].push_back({r.links[i], part(rate, by_port[in_port])});
    }
    for (std::size_t p = 0; p < by_port.size(); ++p) {
        if (by_port[p] == 0) continue;
        t.ways.push_back({.in_port = p,
                          .weight = part(by_port[p], total),
                          .leg = parts[p].empty() ? kNoLeg : legs_->add(parts[p])});
    }
    const LinkId out = fabric_->nic(e.src_nic).ports[port];
    t.capacity = std::min(health_->rate(out).bits_per_second(), total);
    return t;
}

void LaneMaker::spread(const Edge& e, SimDuration to_relay, EdgeLanes& out) {
    const End& src = end(e.src, e.src_nic);
    const End& dst = end(e.dst, e.dst_nic);
    if (e.src_nic == e.dst_nic) {  // two GPUs of one NIC
        for (const Route& r : router_.disjoint_paths(e, 0, 1, seed_)) {
            out.legs.push_back({series(r.links), kOne});
            out.latency = latency(*fabric_, r);
            out.end_lane(bottleneck(*fabric_, r, health_).bits_per_second());
        }
        return;
    }
    for (std::size_t p = 0; p < src.out.size(); ++p) {
        if (!health_->up(fabric_->nic(e.src_nic).ports[p])) continue;
        const Trunk& t = trunk(e, p);
        if (t.ways.empty() || t.capacity == 0) continue;
        out.legs.push_back({src.out[p], kOne});
        for (const Trunk::Way& w : t.ways) {
            if (w.leg != kNoLeg) out.legs.push_back({w.leg, w.weight});
            out.legs.push_back({dst.in[w.in_port], w.weight});
        }
        out.latency = std::max(out.latency, to_relay + t.latency);
        out.end_lane(t.capacity);
    }
}

std::vector<std::uint16_t> LaneMaker::udp_ports(RankId src, RankId dst, std::size_t channel) const {
    RandomStream draw(seed_, mix64(src.value(), dst.value()), fmt::format("udp-port-{}", channel));
    std::vector<std::uint16_t> ports;
    for (std::uint32_t q = 0; q < qps_; ++q)
        ports.push_back(static_cast<std::uint16_t>(kFirstUdpPort + draw.below(kUdpPorts)));
    return ports;
}

void LaneMaker::routes(const Placement& placement, RankId src, RankId dst, std::int32_t rail,
                       std::size_t channel, std::size_t most, std::vector<Route>& out) {
    out.clear();
    const Edge e = router_.edge(placement.gpu(src), placement.gpu(dst), rail);
    if (e.scale_up()) {
        if (std::optional<Route> r = router_.ecmp(e, 0)) out.push_back(std::move(*r));
        return;
    }
    if (!e.src_nic.valid() || !e.dst_nic.valid()) return;
    const GpuId via = pxn_ ? relay(e) : e.src;
    const Edge last = via == e.src ? e : router_.edge(via, e.dst, rail);
    if (pooled_) {
        for (const Edge& way : router_.edges(via, e.dst, rail))
            for (std::size_t p = 0; p < router_.ports(way); ++p)
                for (Route& r : router_.disjoint_paths(way, p, most, seed_))
                    out.push_back(std::move(r));
    } else {
        const std::vector<std::uint16_t> ports = udp_ports(src, dst, channel);
        for (std::size_t q = 0; q < ports.size(); ++q)
            if (std::optional<Route> r = router_.ecmp(last, ports[q], q % router_.ports(last)))
                out.push_back(std::move(*r));
    }
    if (via == e.src) return;
    const std::optional<Route> cross = router_.ecmp(router_.edge(e.src, via), 0);
    if (!cross) return out.clear();
    for (Route& r : out) r.links.insert(r.links.begin(), cross->links.begin(), cross->links.end());
}

void LaneMaker::hashed(const Edge& e, RankId src, RankId dst, std::size_t channel, EdgeLanes& out) {
    const std::vector<std::uint16_t> ports = udp_ports(src, dst, channel);
    const SimDuration to_relay = out.latency;
    for (std::size_t q = 0; q < ports.size(); ++q) {
        const std::optional<Route> r = router_.ecmp(e, ports[q], q % router_.ports(e));
        if (!r) continue;
        for (const LinkId& l : r->links) out.legs.push_back({series({&l, 1}), kOne});
        out.latency = std::max(out.latency, to_relay + latency(*fabric_, *r));
        out.end_lane(bottleneck(*fabric_, *r, health_).bits_per_second());
    }
    // QPs that share a port share its rate.
    const auto ports_used = std::min<std::size_t>(out.lanes(), router_.ports(e));
    if (out.lanes() > 0)
        out.alone = out.alone / static_cast<std::int64_t>(out.lanes()) *
                    static_cast<std::int64_t>(ports_used);
}

}  // namespace weft::flow
