#pragma once
// Placement: rank -> GPU. A Group is an ordered list of world ranks.
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "topology/fabric.hpp"

namespace weft {

struct Placement {
    std::vector<GpuId> gpu_of;  // indexed by world rank
    std::string description;    // "packed: rank r on GPU r"
    [[nodiscard]] GpuId gpu(RankId r) const { return gpu_of[r.index()]; }
    [[nodiscard]] std::size_t ranks() const { return gpu_of.size(); }
};

/// Rank r on GPU r (hosts filled in order). ConfigError when the fabric has too few GPUs.
[[nodiscard]] Placement packed_placement(const Fabric& fabric, std::size_t ranks);

/// `ranks` split evenly over the first `segments` segments, whole hosts at a time (paper's
/// cross-segment tests). ConfigError when it does not divide into hosts.
[[nodiscard]] Placement segments_placement(const Fabric& fabric, std::size_t ranks,
                                           std::size_t segments);

/// The part of a placement that an algorithm may look at: how a group's ranks fall into hosts.
/// `uniform` when every host (scale-up domain) holds the same number g of ranks, contiguous in
/// group order, with the same local GPUs in the same order; then group rank = host * g + local.
struct GroupShape {
    std::size_t n = 1;  // ranks
    bool uniform = true;
    std::size_t per_host = 1;  // g, when uniform
    std::size_t hosts = 1;     // k, when uniform
    std::size_t planes = 1;    // planes of the fabric (1 when not planar)
    std::size_t nics_per_rank = 1;
    bool in_network = false;  // every rank's scale-up switch reduces and multicasts
    bool operator==(const GroupShape&) const = default;
};
[[nodiscard]] GroupShape shape_of(const Fabric& fabric, const Placement& placement,
                                  const std::vector<RankId>& group);

}  // namespace weft
