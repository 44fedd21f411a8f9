#include "topology/discover/processors/processors.hpp"

#ifdef WEFT_HWLOC
#include <hwloc.h>
#include <memory>
#include <type_traits>

namespace weft {

namespace {

struct Destroy {
    void operator()(hwloc_topology_t t) const { hwloc_topology_destroy(t); }
};
using Topology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, Destroy>;

Topology load(const std::string& synthetic) {
    hwloc_topology_t raw = nullptr;
    if (hwloc_topology_init(&raw) != 0) return nullptr;
    Topology t(raw);
    hwloc_topology_set_icache_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (!synthetic.empty() && hwloc_topology_set_synthetic(raw, synthetic.c_str()) != 0)
        return nullptr;
    if (hwloc_topology_load(raw) != 0) return nullptr;
    return t;
}

std::uint32_t count(hwloc_topology_t t, hwloc_obj_type_t type) {
    const int n = hwloc_get_nbobjs_by_type(t, type);
    return n > 0 ? static_cast<std::uint32_t>(n) : 0;
}

}  // namespace

bool knows_processors() {
    return true;
}

std::optional<Processors> read_processors(const std::string& synthetic) {
    const Topology owner = load(synthetic);
    if (!owner) return std::nullopt;
    const hwloc_topology_t t = owner.get();
    Processors p{.sockets = count(t, HWLOC_OBJ_PACKAGE),
                 .numa_nodes = count(t, HWLOC_OBJ_NUMANODE),
                 .cores = count(t, HWLOC_OBJ_CORE),
                 .threads = count(t, HWLOC_OBJ_PU),
                 .memory = hwloc_get_root_obj(t)->total_memory,
                 .caches = {}};
    constexpr hwloc_obj_type_t kTypes[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L1ICACHE, HWLOC_OBJ_L2CACHE,
                                           HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE};
    for (const hwloc_obj_type_t type : kTypes) {
        const hwloc_obj_t first = hwloc_get_obj_by_type(t, type, 0);
        if (!first || !first->attr) continue;
        const int cores = hwloc_get_nbobjs_inside_cpuset_by_type(t, first->cpuset, HWLOC_OBJ_CORE);
        p.caches.push_back({.level = static_cast<int>(first->attr->cache.depth),
                            .instructions = type == HWLOC_OBJ_L1ICACHE,
                            .bytes = first->attr->cache.size,
                            .count = count(t, type),
                            .cores_each = cores > 0 ? static_cast<std::uint32_t>(cores) : 0});
    }
    return p;
}

}  // namespace weft

#else

namespace weft {

bool knows_processors() {
    return false;
}

std::optional<Processors> read_processors(const std::string&) {
    return std::nullopt;
}

}  // namespace weft

#endif
