#include "topology/fabric.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "topology/builder.hpp"

namespace weft {
namespace {

constexpr std::array<const char*, 4> kTierNames{"nvswitch", "tor", "agg", "core"};

/// Fifty HPN pods, half a gigabyte: more is a slip of the pen.
constexpr std::size_t kMaxLinks = 8'000'000;

const char* tier_name(std::int32_t tier) {
    const auto i = static_cast<std::size_t>(tier);
    return i < kTierNames.size() ? kTierNames[i] : "switch";
}

/// The first of the two that is known.
std::int32_t known(std::int32_t a, std::int32_t b) {
    return a != kAny ? a : b;
}

class Digest {
  public:
    void add(std::int64_t v) { value_ = mix64(value_, static_cast<std::uint64_t>(v)); }
    void add(const std::string& s) { value_ = mix64(value_, hash_text(s)); }
    [[nodiscard]] std::uint64_t value() const { return value_; }

  private:
    std::uint64_t value_ = 0x77656674;  // "weft"
};

}  // namespace

std::string Fabric::name_of(NodeId id) const {
    const Node& n = node(id);
    switch (n.kind) {
        case NodeKind::kGpu:
            return fmt::format("host[{}].gpu[{}]", n.host, n.index);
        case NodeKind::kNic:
            return fmt::format("host[{}].nic[{}]", n.host, n.index);
        case NodeKind::kScaleUpSwitch:
            if (n.host == kAny) return fmt::format("domain[{}].nvswitch[{}]", n.domain, n.index);
            return fmt::format("host[{}].nvswitch[{}]", n.host, n.index);
        case NodeKind::kSwitch:
            break;
    }
    return fmt::format("{}[{}]", tier_name(n.tier), n.index);
}

std::string Fabric::name_of(LinkId id) const {
    const Link& l = link(id);
    std::uint32_t parallel = 0;
    std::uint32_t own = 0;
    for (const LinkId other : out(l.from)) {
        if (link(other).to != l.to) continue;
        if (other == id) own = parallel;
        ++parallel;
    }
    std::string port;
    if (node(l.from).kind == NodeKind::kNic && l.kind == LinkKind::kAccess) {
        std::uint32_t number = 0;
        for (const LinkId other : out(l.from)) {
            if (other == id) break;
            number += link(other).kind == LinkKind::kAccess ? 1 : 0;
        }
        port = fmt::format(":{}", number);
    } else if (parallel > 1) {
        port = fmt::format(":{}", own);
    }
    return fmt::format("{}{} > {}", name_of(l.from), port, name_of(l.to));
}

LinkId Fabric::find_link(std::string_view name) const {
    const std::size_t arrow = name.find(" > ");
    if (arrow == std::string_view::npos) return LinkId::none();
    const std::string_view from = name.substr(0, arrow);
    const std::size_t colon = from.rfind(':');
    const std::string_view device = colon == std::string_view::npos ? from : from.substr(0, colon);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (name_of(NodeId{i}) != device) continue;
        for (const LinkId l : out(NodeId{i}))
            if (name_of(l) == name) return l;
    }
    return LinkId::none();
}

const char* name_of(GpuGeneration g) {
    constexpr const char* kNames[] = {"Volta", "Ampere", "Hopper", "Blackwell"};
    return kNames[static_cast<std::size_t>(g)];
}

std::uint64_t Fabric::digest() const {
    Digest d;
    d.add(static_cast<std::int64_t>(digest_));
    for (const auto& [l, rate] : impairments_) d.add(l.value()), d.add(rate.bits_per_second());
    return d.value();
}

NodeId FabricBuilder::add_node(const Node& node) {
    fabric_.nodes_.push_back(node);
    return NodeId{fabric_.nodes_.size() - 1};
}

GpuId FabricBuilder::add_gpu(NodeId node) {
    const Node& n = fabric_.nodes_[node.index()];
    WEFT_CHECK(n.kind == NodeKind::kGpu && n.host >= 0, "not a GPU of a host");
    fabric_.gpus_.push_back(
        {.node = node, .host = HostId{n.host}, .local = n.index, .domain = n.domain, .nics = {}});
    return GpuId{fabric_.gpus_.size() - 1};
}

NicId FabricBuilder::add_nic(NodeId node) {
    const Node& n = fabric_.nodes_[node.index()];
    WEFT_CHECK(n.kind == NodeKind::kNic && n.host >= 0, "not a NIC of a host");
    fabric_.nics_.push_back({.node = node, .host = HostId{n.host}, .rail = n.rail, .ports = {}});
    return NicId{fabric_.nics_.size() - 1};
}

LinkId FabricBuilder::add_cable(NodeId a, NodeId b, LinkKind kind, Bandwidth rate,
                                SimDuration latency) {
    WEFT_CHECK(a != b && a.index() < fabric_.nodes_.size() && b.index() < fabric_.nodes_.size());
    if (fabric_.links_.size() >= kMaxLinks)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "fabric " + fabric_.name_,
                           .found = "a larger fabric",
                           .expected = fmt::format("at most {} cables", kMaxLinks / 2),
                           .example = {}});
    const Node& low = node(a).tier <= node(b).tier ? node(a) : node(b);
    const Node& high = node(a).tier <= node(b).tier ? node(b) : node(a);
    Link l{.from = a, .to = b, .capacity = rate, .latency = latency, .kind = kind};
    l.rail = known(low.rail, high.rail);
    l.plane = known(high.plane, low.plane);
    l.tier = high.tier;
    l.segment = known(low.segment, high.segment);
    l.pod = known(low.pod, high.pod);
    l.domain = kind == LinkKind::kScaleUp ? known(low.domain, high.domain) : kAny;
    fabric_.links_.push_back(l);
    std::swap(l.from, l.to);
    fabric_.links_.push_back(l);
    return LinkId{fabric_.links_.size() - 2};
}

void FabricBuilder::number_links() {
    auto& first = fabric_.first_out_;
    first.assign(fabric_.nodes_.size() + 1, 0);
    for (const Link& l : fabric_.links_) ++first[l.from.index() + 1];
    for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    fabric_.adjacency_.resize(fabric_.links_.size());
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    for (std::size_t i = 0; i < fabric_.links_.size(); ++i)
        fabric_.adjacency_[next[fabric_.links_[i].from.index()]++] = LinkId{i};
}

void FabricBuilder::attach_ports() {
    for (Nic& nic : fabric_.nics_)
        for (const LinkId l : fabric_.out(nic.node))
            if (fabric_.link(l).kind == LinkKind::kAccess) nic.ports.push_back(l);
    std::int32_t hosts = 0;
    std::int32_t domains = 0;
    for (const Gpu& gpu : fabric_.gpus_) {
        hosts = std::max(hosts, fabric_.node(gpu.node).host + 1);
        domains = std::max(domains, gpu.domain + 1);
    }
    fabric_.hosts_ = static_cast<std::size_t>(hosts);
    fabric_.domains_ = static_cast<std::size_t>(domains);
}

void FabricBuilder::validate() const {
    WEFT_CHECK(!fabric_.gpus_.empty(), "fabric {} has no GPU", fabric_.name_);
    for (const Link& l : fabric_.links_) {
        WEFT_CHECK(l.capacity > Bandwidth{0}, "a link of {} has no capacity", fabric_.name_);
        WEFT_CHECK(l.latency >= SimDuration{0}, "a link of {} has a negative latency",
                   fabric_.name_);
    }
    const auto reject = [&](const Nic& nic, const std::string& found, const std::string& expected) {
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = fabric_.name_of(nic.node),
                           .found = found,
                           .expected = expected,
                           .example = {}});
    };
    const bool dual_plane = fabric_.port_mode_ == PortMode::kDualPlane;
    for (const Nic& nic : fabric_.nics_) {
        if (nic.ports.empty()) reject(nic, "no cable", "a cable from each NIC to a switch");
        for (std::size_t p = 0; dual_plane && p < nic.ports.size(); ++p)
            if (fabric_.link(nic.ports[p]).plane != static_cast<std::int32_t>(p))
                reject(nic, fmt::format("port {} in plane {}", p, fabric_.link(nic.ports[p]).plane),
                       "port p in plane p on a dual-plane fabric");
    }
}

Fabric FabricBuilder::build() {
    number_links();
    attach_ports();
    validate();
    Digest d;
    d.add(fabric_.name_);
    for (const auto& [key, value] : fabric_.parameters_) d.add(key), d.add(value);
    d.add(static_cast<int>(fabric_.port_mode_));
    d.add(fabric_.core_hash_by_ingress_ ? 1 : 0);
    for (const Node& n : fabric_.nodes_)
        for (const std::int64_t v :
             {static_cast<std::int64_t>(n.kind), std::int64_t{n.tier}, std::int64_t{n.rail},
              std::int64_t{n.plane}, std::int64_t{n.segment}, std::int64_t{n.pod},
              std::int64_t{n.host}, std::int64_t{n.domain}, std::int64_t{n.in_network ? 1 : 0}})
            d.add(v);
    for (std::size_t i = 0; i < fabric_.links_.size(); i += 2) {
        const Link& l = fabric_.links_[i];
        for (const std::int64_t v :
             {std::int64_t{l.from.value()}, std::int64_t{l.to.value()},
              l.capacity.bits_per_second(), l.latency.ps(), static_cast<std::int64_t>(l.kind)})
            d.add(v);
    }
    for (const Gpu& g : fabric_.gpus_) {
        d.add(g.node.value());
        for (const NicId n : g.nics) d.add(n.value());
    }
    fabric_.digest_ = d.value();
    return std::move(fabric_);
}

}  // namespace weft
