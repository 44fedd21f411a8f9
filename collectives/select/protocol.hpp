#pragma once
// WireProtocol: how NCCL-like libraries put bytes on a wire. LL: 4 bytes of flag with each 4 of
// data, no fence; LL128: 8 with each 120; Simple: data alone, a fence a slice (facts E1).
#include <cstddef>
#include <cstdint>

namespace weft {

enum class WireProtocol : std::uint8_t { kLl, kLl128, kSimple };
[[nodiscard]] constexpr const char* name_of(WireProtocol p) {
    constexpr const char* kNames[] = {"LL", "LL128", "Simple"};
    return kNames[static_cast<std::size_t>(p)];
}

}  // namespace weft
