#include "collectives/transport/verbs/card.hpp"

#include <algorithm>
#include <tuple>

#include "collectives/transport/net/wire.hpp"

namespace weft::live::verbs {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kMostPorts = 256;

bool has_device(const Party& party, std::size_t port) {
    return port < party.card.devices.size() && party.card.devices[port];
}

}  // namespace

std::vector<std::byte> encode_card(const Card& card) {
    net::Writer out;
    out.u32(kVersion);
    out.u32(card.paths);
    out.u32(static_cast<std::uint32_t>(card.devices.size()));
    for (const bool has : card.devices) out.u8(has ? 1 : 0);
    return out.take();
}

std::optional<Card> parse_card(std::span<const std::byte> bytes) {
    net::Reader in(bytes);
    const std::uint32_t version = in.u32();
    Card card{.paths = in.u32(), .devices = {}};
    const std::uint32_t ports = in.u32();
    if (version != kVersion || ports > kMostPorts || in.left() != ports || card.paths == 0 ||
        card.paths > kMostPaths)
        return std::nullopt;
    for (std::uint32_t i = 0; i < ports; ++i) {
        const std::uint8_t has = in.u8();
        if (has > 1) return std::nullopt;
        card.devices.push_back(has == 1);
    }
    return in.done() ? std::optional(card) : std::nullopt;
}

std::vector<Lane> derive_lanes(const Party& mine, const Party& theirs) {
    const bool lower = mine.rank < theirs.rank;
    const Party& low = lower ? mine : theirs;
    const Party& high = lower ? theirs : mine;
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (std::size_t i = 0; i < low.ports.size(); ++i)
        for (std::size_t j = 0; j < high.ports.size(); ++j)
            if (low.ports[i].rail == high.ports[j].rail &&
                low.ports[i].plane == high.ports[j].plane && has_device(low, i) &&
                has_device(high, j))
                pairs.emplace_back(i, j);
    std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
        return std::tie(low.ports[a.first].rail, low.ports[a.first].plane) <
               std::tie(low.ports[b.first].rail, low.ports[b.first].plane);
    });
    const std::uint32_t paths = std::min(mine.card.paths, theirs.card.paths);
    std::vector<Lane> lanes;
    for (const auto& [i, j] : pairs)
        for (std::uint32_t path = 0; path < paths && lanes.size() < kMostLanes; ++path)
            lanes.push_back({.local_port = static_cast<std::int32_t>(lower ? i : j),
                             .remote_port = static_cast<std::int32_t>(lower ? j : i),
                             .rail = low.ports[i].rail,
                             .plane = low.ports[i].plane,
                             .path = path});
    return lanes;
}

}  // namespace weft::live::verbs
