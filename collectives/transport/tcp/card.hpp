#pragma once
// What a rank shows of its tcp transport before the meeting (its "tcp" card), and the list of lanes
// that two ranks derive from their ports and cards, the same at both ends.
//
// Lanes: every pair of ports with equal rail and plane, `paths` times; if there is none, each port
// of the side with more of them with one port of the other, in order. A pair of ports whose
// addresses are of different families is none.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live::tcp {

inline constexpr std::uint32_t kMostPaths = 64;
inline constexpr std::uint32_t kMostLanes = 1024;
inline constexpr std::uint32_t kMostEager = 256 * 1024;

struct Card {
    std::uint32_t paths = 1;
    std::uint32_t eager = 0;  // messages of up to so many bytes may come without a grant
    bool operator==(const Card&) const = default;
};
[[nodiscard]] std::vector<std::byte> encode_card(const Card& card);
/// nullopt: not a card of this version.
[[nodiscard]] std::optional<Card> parse_card(std::span<const std::byte> bytes);

/// As rank `rank` sees them. Both ends count paths alike: the smaller of the two wishes.
[[nodiscard]] std::vector<Lane> derive_lanes(std::uint32_t rank, std::span<const Port> ports,
                                             std::uint32_t peer, std::span<const Port> peer_ports,
                                             std::uint32_t paths);

}  // namespace weft::live::tcp
