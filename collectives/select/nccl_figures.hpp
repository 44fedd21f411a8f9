#pragma once
// The figures of NCCL's tuning model and search, by version, as data (facts E1; NCCL tuning.cc and
// search.cc). Times in ns, rates in MB/s (10^6 bytes), ratios per mille.
#include <array>
#include <cstdint>
#include <span>

#include "collectives/select/nccl.hpp"

namespace weft::nccl {

inline constexpr std::size_t kAlgorithms = 5;  // those with a prediction
inline constexpr std::size_t kProtocols = 3;

using ByProtocol = std::array<std::int64_t, kProtocols>;  // LL, LL128, Simple
using ByAlgorithm = std::array<ByProtocol, kAlgorithms>;
/// On one host, on two, on more.
using ByHosts = std::array<std::int64_t, 3>;
/// Volta, Ampere, Hopper, Blackwell.
using ByGeneration = std::array<ByHosts, 4>;

struct Figures {
    ByAlgorithm base_ns;
    ByAlgorithm nvlink_ns;  // one hop
    ByAlgorithm network_ns;
    ByGeneration ll_most;  // bus rate; on several hosts the row goes by CPU: Intel 0, AMD 1
    std::int64_t ring_ll_per_mille;        // of rings of several hosts, and of all-reduce
    std::int64_t ring_ll_light_per_mille;  // of the other collectives on one host
    ByGeneration ring_ll128_channel;
    ByGeneration tree_ll128_channel;
    ByGeneration tree_channel;
    ByGeneration nvls_tree_channel;
    std::array<std::int64_t, 4> nvls_per_mille;  // by generation
    std::array<std::int64_t, 4> nvls_channels;
    std::int64_t most_channels;
};
[[nodiscard]] const Figures& figures(Version v);

/// Trees at medium sizes, per mille of the rate; by log2(bytes / 64), up to 256 MiB.
[[nodiscard]] const std::array<std::array<std::int64_t, 23>, kProtocols>& tree_correction();

/// Rates of one channel that the search tries, falling; inside one host, and over several.
[[nodiscard]] std::span<const std::int64_t> speeds(Version v, GpuGeneration g, bool several_hosts);

/// NVLink as NCCL reckons it, per mille of nominal.
[[nodiscard]] std::int64_t nvlink_per_mille(GpuGeneration g);

/// The most threads a block has, and the least bytes that give a thread work.
struct Threads {
    std::int64_t most;
    std::int64_t bytes_each;
};
[[nodiscard]] Threads threads(WireProtocol p);

}  // namespace weft::nccl
