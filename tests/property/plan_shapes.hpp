#pragma once
// The group shapes and parameters on which every registered algorithm is proved.
#include <string>
#include <vector>

#include "collectives/algorithms/algorithm.hpp"

namespace weft::testing {

/// Every way to fall into equal hosts, and unequal hosts.
inline std::vector<GroupShape> shapes_of(std::size_t n) {
    std::vector<GroupShape> out;
    for (std::size_t g = 1; g <= n; ++g) {
        if (n % g != 0) continue;
        GroupShape s;
        s.n = n;
        s.per_host = g;
        s.hosts = n / g;
        out.push_back(s);
    }
    GroupShape uneven;
    uneven.n = n;
    uneven.uniform = false;
    out.push_back(uneven);
    return out;
}

inline bool refuses(const RegistryInfo& info, const GroupShape& shape) {
    return info.name == "allreduce/hierarchical" && !shape.uniform;
}

/// body(plan, text) for every algorithm, shape of n and channel count.
template <class Body>
void for_each_plan(std::size_t n, const std::vector<std::uint32_t>& channels, Body body) {
    for (const auto& row : builtin_algorithms().rows())
        for (const GroupShape& shape : shapes_of(n))
            for (const std::uint32_t c : channels) {
                if (refuses(row.info, shape)) continue;
                AlgorithmParams params;
                params.channels = c;
                params.root = static_cast<std::uint32_t>(n / 3);
                params.slice = Bytes{128};
                body(row.make.build(shape, params),
                     row.info.name + " n " + std::to_string(n) + " g " +
                         std::to_string(shape.uniform ? shape.per_host : 0) + " channels " +
                         std::to_string(c));
            }
}

}  // namespace weft::testing
