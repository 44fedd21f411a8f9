#include "topology/placement.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/result.hpp"

namespace weft {
namespace {

[[noreturn]] void reject(std::size_t ranks, const std::string& expected, std::size_t example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "ranks",
                       .found = std::to_string(ranks),
                       .expected = expected,
                       .example = std::to_string(example)});
}

/// The unit inside which scale-up links reach: the domain, or the GPU alone.
std::int64_t unit_of(const Fabric& fabric, GpuId g) {
    const std::int32_t domain = fabric.gpu(g).domain;
    return domain != kAny ? domain : -1 - static_cast<std::int64_t>(g.value());
}

/// Whether the scale-up switch of a GPU reduces in network.
bool reduces(const Fabric& fabric, GpuId g) {
    const auto out = fabric.out(fabric.gpu(g).node);
    return std::any_of(out.begin(), out.end(), [&](LinkId l) {
        return fabric.link(l).kind == LinkKind::kScaleUp &&
               fabric.node(fabric.link(l).to).in_network;
    });
}

std::size_t planes_of(const Fabric& fabric) {
    if (fabric.port_mode() != PortMode::kDualPlane || fabric.nics().empty()) return 1;
    return fabric.nics().front().ports.size();
}

}  // namespace

Placement packed_placement(const Fabric& fabric, std::size_t ranks) {
    if (ranks == 0 || ranks > fabric.gpus().size())
        reject(ranks,
               fmt::format("1 to {}, the GPUs of fabric {}", fabric.gpus().size(), fabric.name()),
               fabric.gpus().size());
    Placement p;
    for (std::size_t r = 0; r < ranks; ++r) p.gpu_of.emplace_back(r);
    p.description = "packed: rank r on GPU r";
    return p;
}

Placement segments_placement(const Fabric& fabric, std::size_t ranks, std::size_t segments) {
    if (segments == 0 || ranks % segments != 0)
        reject(ranks, fmt::format("a multiple of {} segments", segments), segments * 8);
    const std::size_t each = ranks / segments;
    Placement p;
    p.description = fmt::format("split over {} segments, {} ranks each", segments, each);
    for (std::size_t s = 0; s < segments; ++s) {
        std::size_t taken = 0;
        std::int32_t last_host = kAny;
        bool cut = false;
        for (std::size_t g = 0; g < fabric.gpus().size(); ++g) {
            const Node& n = fabric.node(fabric.gpus()[g].node);
            if (n.segment != static_cast<std::int32_t>(s)) continue;
            if (taken == each) {
                cut = n.host == last_host;
                break;
            }
            p.gpu_of.emplace_back(g);
            last_host = n.host;
            ++taken;
        }
        if (taken < each || cut)
            reject(ranks,
                   fmt::format("whole hosts in each of {} segments of fabric {}", segments,
                               fabric.name()),
                   segments * 8);
    }
    return p;
}

GroupShape shape_of(const Fabric& fabric, const Placement& placement,
                    const std::vector<RankId>& group) {
    GroupShape shape;
    shape.n = group.size();
    shape.planes = planes_of(fabric);
    shape.nics_per_rank = 0;
    for (const RankId r : group) {
        const std::size_t nics = fabric.gpu(placement.gpu(r)).nics.size();
        shape.nics_per_rank = r == group.front() ? nics : std::min(shape.nics_per_rank, nics);
    }
    shape.in_network = std::all_of(group.begin(), group.end(),
                                   [&](RankId r) { return reduces(fabric, placement.gpu(r)); });
    std::size_t g = 0;
    while (g < group.size() &&
           unit_of(fabric, placement.gpu(group[g])) == unit_of(fabric, placement.gpu(group[0])))
        ++g;
    shape.uniform = g > 0 && group.size() % g == 0;
    std::vector<std::int64_t> units;
    for (std::size_t i = 0; i < group.size() && shape.uniform; ++i) {
        const GpuId gpu = placement.gpu(group[i]);
        if (i % g == 0) units.push_back(unit_of(fabric, gpu));
        const bool same_unit = unit_of(fabric, gpu) == units.back();
        const bool same_local =
            fabric.gpu(gpu).local == fabric.gpu(placement.gpu(group[i % g])).local;
        shape.uniform = same_unit && same_local;
    }
    std::sort(units.begin(), units.end());
    if (std::adjacent_find(units.begin(), units.end()) != units.end()) shape.uniform = false;
    shape.per_host = shape.uniform ? g : 1;
    shape.hosts = shape.uniform ? group.size() / g : group.size();
    return shape;
}

}  // namespace weft
