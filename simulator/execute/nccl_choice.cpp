#include "simulator/execute/nccl_choice.hpp"

#include <algorithm>
#include <set>

namespace weft {
namespace {

/// What a NIC of the fabric is to NCCL: one device, or one for each port.
struct NicRate {
    std::int64_t devices = 0;
    Bandwidth rate;
};

NicRate rate_of(const Fabric& f, const Nic& nic, bool merge) {
    const Bandwidth port = f.link(nic.ports.front()).capacity;
    const auto ports = static_cast<std::int64_t>(nic.ports.size());
    return merge ? NicRate{1, port * ports} : NicRate{ports, port};
}

std::int32_t home(const Gpu& g) {
    return g.domain == kAny ? static_cast<std::int32_t>(g.host.value()) : g.domain;
}

}  // namespace

nccl::Machine nccl_machine(const Scenario& s, const std::vector<RankId>& group) {
    const Fabric& f = *s.fabric;
    const Gpu& first = f.gpu(s.placement.gpu(group.front()));
    std::set<std::int32_t> homes;
    std::set<NicId> nics;
    nccl::Machine m;
    m.generation = f.generation();
    m.cpu = f.cpu();
    m.nics = 0;
    for (const RankId r : group) {
        const Gpu& g = f.gpu(s.placement.gpu(r));
        homes.insert(home(g));
        if (home(g) == home(first)) nics.insert(g.nics.begin(), g.nics.end());
    }
    for (const NicId n : nics) {
        if (f.nic(n).ports.empty()) continue;
        const NicRate one = rate_of(f, f.nic(n), s.library.merge_ports);
        m.nics += one.devices;
        m.nic = one.rate;
    }
    m.hosts = static_cast<std::int64_t>(homes.size());
    m.ranks_per_host = (static_cast<std::int64_t>(group.size()) + m.hosts - 1) / m.hosts;
    for (const LinkId l : f.out(first.node)) {
        if (f.link(l).kind != LinkKind::kScaleUp) continue;
        m.scale_up = f.link(l).capacity;
        m.in_network = f.node(f.link(l).to).in_network;
    }
    return m;
}

std::optional<nccl::Tuner> nccl_tuner(const Scenario& s, const std::vector<RankId>& group) {
    const std::optional<nccl::Version> version = nccl_version(s.library);
    if (!version || group.empty()) return {};
    nccl::Overrides o;
    o.nvls = s.library.nvls;
    o.max_channels = s.library.channels;
    if (!s.library.algorithm.empty()) {
        o.algorithm = nccl::parse_algorithm(s.library.algorithm);
        if (!o.algorithm) return {};
    }
    return nccl::Tuner(*version, nccl_machine(s, group), o);
}

std::optional<std::string> carrier_of(Collective kind, nccl::Algorithm a) {
    if (a == nccl::Algorithm::kDirect) return {};
    if (kind == Collective::kBroadcast || kind == Collective::kReduce) return "chain";
    if (a == nccl::Algorithm::kPat) return "ring";
    return nccl::name_of(a);
}

}  // namespace weft
