#pragma once
// What a rank shows of its verbs transport before the meeting (its "verbs" card), and the list of
// lanes that two ranks derive from their ports and cards, the same at both ends: every pair of
// ports with equal rail and plane that both have an RDMA device, `paths` times.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live::verbs {

inline constexpr std::uint32_t kMostPaths = 64;
inline constexpr std::uint32_t kMostLanes = 1024;

struct Card {
    std::uint32_t paths = 1;
    std::vector<bool> devices;  // whether port i has one
    bool operator==(const Card&) const = default;
};
[[nodiscard]] std::vector<std::byte> encode_card(const Card& card);
/// nullopt: not a card of this version.
[[nodiscard]] std::optional<Card> parse_card(std::span<const std::byte> bytes);

/// One rank's part in derive_lanes().
struct Party {
    std::uint32_t rank = 0;
    std::span<const Port> ports;
    const Card& card;
};
/// As `mine` sees them. Both ends count paths alike: the smaller of the two wishes.
[[nodiscard]] std::vector<Lane> derive_lanes(const Party& mine, const Party& theirs);

}  // namespace weft::live::verbs
