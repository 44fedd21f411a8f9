#pragma once
// Processors: sockets, cores, caches and memory of this machine, by hwloc where Weft is built with
// it. For people; no algorithm asks. Leaves out: devices (machine.hpp reads them itself, so that a
// rank that joins needs no hwloc), and the bandwidth of memory, which no system file says.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft {

struct CacheLevel {
    int level = 1;
    bool instructions = false;  // it holds nothing else
    std::uint64_t bytes = 0;    // of one
    std::uint32_t count = 0;
    std::uint32_t cores_each = 0;
    bool operator==(const CacheLevel&) const = default;
};
struct Processors {
    std::uint32_t sockets = 0;
    std::uint32_t numa_nodes = 0;
    std::uint32_t cores = 0;
    std::uint32_t threads = 0;
    std::uint64_t memory = 0;        // bytes; 0: unknown
    std::vector<CacheLevel> caches;  // from the cores outward
};

/// Nothing where Weft is built without hwloc or hwloc cannot tell. `synthetic`: instead of this
/// machine one that is described in hwloc's way, "pack:2 l3:1 core:8 pu:2".
[[nodiscard]] std::optional<Processors> read_processors(const std::string& synthetic = {});
[[nodiscard]] bool knows_processors();

}  // namespace weft
