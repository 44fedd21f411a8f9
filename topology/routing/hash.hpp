#pragma once
// EcmpHash: which of n equal-cost next hops a switch gives a flow.
//
// Models: CRC-32 (polynomial 0x04C11DB7, reflected) over the 13 bytes of the 5-tuple, the family of
// functions that switch chips use. The switch's seed rotates the result (which bits are used) and
// XORs a constant (the initial value); then modulo n. All of it is linear over XOR before the
// modulo: h(a ^ b ^ c) = h(a) ^ h(b) ^ h(c), which is what lets a host predict paths (RePaC, Zhang
// et al., ATC 2021). Polarisation is real: with equal seeds a later tier sees only flows whose hash
// has already agreed modulo n at the tier before. Leaves out: symmetric hashing, resilient hashing
// tables, vendor-specific field folding.
#include <cstdint>

namespace weft {

/// One address per NIC: a bonded NIC shows one address on both ports.
struct FiveTuple {
    std::uint32_t src_address = 0;
    std::uint32_t dst_address = 0;
    std::uint16_t src_port = 0;
    std::uint16_t dst_port = 4791;  // RoCEv2
    std::uint8_t protocol = 17;     // UDP
};

/// CRC-32 of the tuple in network byte order.
[[nodiscard]] std::uint32_t crc32(const FiveTuple& t);

/// Which switches share a hash seed.
enum class HashSeeds : std::uint8_t {
    kSame,       // every switch the same: full polarisation between tiers
    kPerTier,    // one seed a tier
    kPerSwitch,  // each switch its own
};

[[nodiscard]] const char* name_of(HashSeeds seeds);  // "same", "per-tier", "per-switch"

struct EcmpHash {
    HashSeeds seeds = HashSeeds::kPerSwitch;
    std::uint64_t seed = 1;

    /// Seed of a hashing device: tier 0 is a bonded NIC.
    [[nodiscard]] std::uint64_t seed_of(std::int32_t tier, std::uint32_t node) const;
    /// In [0, n): what a device with that seed picks for a flow whose crc32() is `crc`.
    [[nodiscard]] static std::uint32_t pick(std::uint32_t crc, std::uint64_t device_seed,
                                            std::uint32_t n);
};

}  // namespace weft
