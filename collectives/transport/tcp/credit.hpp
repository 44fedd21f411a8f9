#pragma once
// What a receiver holds of messages that nobody has asked for, and words on frames that its
// endpoints share.
#include <fmt/format.h>

#include "collectives/transport/tcp/frame.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live::tcp {

/// Each message counts with its overhead.
inline constexpr std::uint64_t kEarlyCost = 256;
/// Bytes that a sender may have sent a peer unasked.
inline constexpr std::uint64_t kEagerCredit = 512 * 1024;
/// Honest peers stay below; operations that were cancelled at one end only may add up.
inline constexpr std::uint64_t kMostEarly = 16 * kEagerCredit;
inline constexpr std::uint32_t kMostEarlyGrants = 65536;

inline MessageKey key_of(const FrameHeader& h) {
    return {.operation = h.head.operation,
            .context = h.head.context,
            .stream = h.stream,
            .sequence = h.sequence};
}

inline Fault wrong_size(std::uint32_t peer, std::uint64_t came, std::uint64_t expected) {
    return {.kind = Fault::Kind::kWrongSize,
            .peer = peer,
            .what = fmt::format("{} bytes came where {} are expected", came, expected)};
}

}  // namespace weft::live::tcp
