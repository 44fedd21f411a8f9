#include "topology/routing/hash.hpp"

#include <array>
#include <bit>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1U) != 0 ? 0xEDB88320U : 0U);
        table[i] = c;
    }
    return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

/// One big-endian field of `bytes` bytes.
std::uint32_t feed(std::uint32_t crc, std::uint32_t field, int bytes) {
    for (int i = bytes - 1; i >= 0; --i)
        crc = kTable[(crc ^ (field >> (8 * i))) & 0xFFU] ^ (crc >> 8);
    return crc;
}

}  // namespace

std::uint32_t crc32(const FiveTuple& t) {
    std::uint32_t crc = 0;  // a zero start keeps the function linear, not only affine
    crc = feed(crc, t.src_address, 4);
    crc = feed(crc, t.dst_address, 4);
    crc = feed(crc, t.src_port, 2);
    crc = feed(crc, t.dst_port, 2);
    return feed(crc, t.protocol, 1);
}

const char* name_of(HashSeeds seeds) {
    switch (seeds) {
        case HashSeeds::kSame:
            return "same";
        case HashSeeds::kPerTier:
            return "per-tier";
        case HashSeeds::kPerSwitch:
            return "per-switch";
    }
    check_failed(__FILE__, __LINE__, "HashSeeds", "unknown value");
}

std::uint64_t EcmpHash::seed_of(std::int32_t tier, std::uint32_t node) const {
    const auto t = static_cast<std::uint64_t>(tier);
    if (tier == 0) return mix64(seed, 0xB0ADED);  // all NICs alike, unlike every switch
    switch (seeds) {
        case HashSeeds::kSame:
            return mix64(seed, 1);
        case HashSeeds::kPerTier:
            return mix64(mix64(seed, 2), t);
        case HashSeeds::kPerSwitch:
            return mix64(mix64(seed, 3), node);
    }
    check_failed(__FILE__, __LINE__, "HashSeeds", "unknown value");
}

std::uint32_t EcmpHash::pick(std::uint32_t crc, std::uint64_t device_seed, std::uint32_t n) {
    const auto constant = static_cast<std::uint32_t>(device_seed);
    const auto rotation = static_cast<int>((device_seed >> 32) & 31U);
    return (std::rotr(crc, rotation) ^ constant) % n;
}

}  // namespace weft
