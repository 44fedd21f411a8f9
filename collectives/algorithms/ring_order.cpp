#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

Partition ring_order(const GroupShape& shape, std::uint32_t channel, RingWalk walk) {
    Partition p;
    p.size = static_cast<std::uint32_t>(shape.n);
    const auto g = static_cast<std::uint32_t>(shape.per_host);
    if (!shape.uniform || g <= 1 || (shape.hosts <= 1 && channel % g == 0)) return p;
    p.order.reserve(p.size);
    p.where.resize(p.size);
    for (std::uint32_t host = 0; host < shape.hosts; ++host)
        for (std::uint32_t i = 0; i < g; ++i) {
            const std::uint32_t local = host % 2 == 0 || walk == RingWalk::kSameWay
                                            ? (channel + i) % g
                                            : (channel % g + 2 * g - 1 - i) % g;
            const std::uint32_t rank = host * g + local;
            p.where[rank] = static_cast<std::uint32_t>(p.order.size());
            p.order.push_back(rank);
        }
    return p;
}

std::uint32_t ring_channels(const GroupShape& shape, const AlgorithmParams& params) {
    if (params.channels > 0) return params.channels;
    return shape.uniform ? static_cast<std::uint32_t>(shape.per_host) : 1;
}

PlanTemplate blank(const char* name, Collective collective, const GroupShape& shape,
                   const AlgorithmParams& params, std::uint32_t channels, std::uint32_t units) {
    PlanTemplate p;
    p.algorithm = name;
    p.collective = collective;
    p.n = static_cast<std::uint32_t>(shape.n);
    p.root = params.root;
    Channel c;
    c.units = units;
    c.slots = params.slots;
    c.slice = params.slice;
    p.channels.assign(channels, c);
    return p;
}

}  // namespace weft::algorithms
