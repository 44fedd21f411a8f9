#include "collectives/transport/tcp/card.hpp"

#include <algorithm>
#include <tuple>

#include "collectives/transport/tcp/bytes.hpp"

namespace weft::live::tcp {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kCardSize = 12;

bool is_ipv6(const Port& p) {
    return p.address.find(':') != std::string::npos;
}

/// Pairs of ports (of the lower rank, of the higher rank) that can talk to each other.
std::vector<std::pair<std::size_t, std::size_t>> port_pairs(std::span<const Port> low,
                                                            std::span<const Port> high) {
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (std::size_t i = 0; i < low.size(); ++i)
        for (std::size_t j = 0; j < high.size(); ++j)
            if (low[i].rail == high[j].rail && low[i].plane == high[j].plane &&
                is_ipv6(low[i]) == is_ipv6(high[j]))
                pairs.emplace_back(i, j);
    if (!pairs.empty() || low.empty() || high.empty()) return pairs;
    for (std::size_t k = 0; k < std::max(low.size(), high.size()); ++k) {
        const std::size_t i = k % low.size();
        const std::size_t j = k % high.size();
        if (is_ipv6(low[i]) == is_ipv6(high[j])) pairs.emplace_back(i, j);
    }
    return pairs;
}

}  // namespace

std::vector<std::byte> encode_card(const Card& card) {
    std::vector<std::byte> out(kCardSize);
    store<std::uint32_t>(out.data(), kVersion);
    store<std::uint32_t>(out.data() + 4, card.paths);
    store<std::uint32_t>(out.data() + 8, card.eager);
    return out;
}

std::optional<Card> parse_card(std::span<const std::byte> bytes) {
    if (bytes.size() != kCardSize || load<std::uint32_t>(bytes.data()) != kVersion)
        return std::nullopt;
    const Card card{.paths = load<std::uint32_t>(bytes.data() + 4),
                    .eager = load<std::uint32_t>(bytes.data() + 8)};
    if (card.paths == 0 || card.paths > kMostPaths || card.eager > kMostEager) return std::nullopt;
    return card;
}

std::vector<Lane> derive_lanes(std::uint32_t rank, std::span<const Port> ports, std::uint32_t peer,
                               std::span<const Port> peer_ports, std::uint32_t paths) {
    const bool lower = rank < peer;
    auto pairs = lower ? port_pairs(ports, peer_ports) : port_pairs(peer_ports, ports);
    const std::span<const Port> low = lower ? ports : peer_ports;
    std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
        return std::tie(low[a.first].rail, low[a.first].plane) <
               std::tie(low[b.first].rail, low[b.first].plane);
    });
    std::vector<Lane> lanes;
    for (const auto& [i, j] : pairs)
        for (std::uint32_t path = 0; path < paths && lanes.size() < kMostLanes; ++path)
            lanes.push_back({.local_port = static_cast<std::int32_t>(lower ? i : j),
                             .remote_port = static_cast<std::int32_t>(lower ? j : i),
                             .rail = low[i].rail,
                             .plane = low[i].plane,
                             .path = path});
    return lanes;
}

}  // namespace weft::live::tcp
