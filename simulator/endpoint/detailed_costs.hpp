#pragma once
// DetailedCosts: the figures of endpoint `detailed`, one per mechanism, each with a range and its
// source. A machine profile may set some of them in a section `detailed:`; the others keep these
// values, which are Hopper's where generations differ.
//
// Leaves out: copies over PCIe where NICs cannot reach GPU memory (no host template says so).
#include <array>
#include <cstdint>
#include <string>

#include "base/units.hpp"
#include "simulator/endpoint/estimate.hpp"

namespace weft {

struct ConfigNode;

enum class Detail : std::uint8_t {
    kKernelLaunch,
    kCall,
    kBlocks,
    kBlockLl,
    kBlockLl128,
    kBlockSimple,
    kSyncLl,
    kSyncLl128,
    kSyncSimple,
    kSyncInNetwork,
    kProxyFlag,
    kProxyMessage,
    kNicLatency,
    kNicFlush,
    kNicMessage,
    kNicMtu,
    kNicHeaders,
    kQueuePairs,
    kQueuePairMiss,
    kBufferLl,
    kBufferLl128,
    kBufferSimple,
    kEagerLimit,
    kEagerCopy,
    kScaleUpRate,
    kInNetworkRate,
};
inline constexpr std::size_t kDetails = 26;

struct DetailInfo {
    const char* name;  // "proxy.message"
    CostUnit unit;
    std::int64_t least;  // what can be believed at all
    std::int64_t most;
    const char* what;
};
[[nodiscard]] const std::array<DetailInfo, kDetails>& detail_table();

struct DetailedCosts {
    std::array<Estimate, kDetails> figures;

    DetailedCosts();  // the values that nothing was measured for
    [[nodiscard]] std::int64_t operator[](Detail d) const {
        return figures[static_cast<std::size_t>(d)].value;
    }
    [[nodiscard]] SimDuration time(Detail d) const { return SimDuration{(*this)[d]}; }
    [[nodiscard]] Estimate& at(Detail d) { return figures[static_cast<std::size_t>(d)]; }
    bool operator==(const DetailedCosts&) const = default;
};

/// The section `detailed:` of a profile: the figures that differ from the values above; empty when
/// none does. And back: ConfigError names file, line and key.
[[nodiscard]] std::string to_yaml(const DetailedCosts& d);
[[nodiscard]] DetailedCosts parse_detailed(const ConfigNode& section, const std::string& file);

}  // namespace weft
