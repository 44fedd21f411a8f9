#pragma once
// What a rank brings to the meeting: who it is, which version and environment it runs, where it
// listens, and the cards that its endpoints publish. Read by a pure parser.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/net/handshake.hpp"

namespace weft::live::net {

struct Card {
    std::uint16_t protocol = kProtocol;
    std::string version;
    std::uint32_t rank = 0;
    std::uint32_t ranks = 1;
    std::string host_name;  // for people only
    std::int32_t process = 0;
    // Of another protocol only what stands above is known.
    std::array<std::byte, 32> host{};  // identity
    std::string unix_name;
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<Port> ports;
    std::vector<std::uint16_t> listening;  // TCP port numbers, one for each of `ports`
    std::map<std::string, std::vector<std::byte>> shown;
};
[[nodiscard]] std::vector<std::byte> encode(const Card& card);
/// Nothing if the bytes are no card.
[[nodiscard]] std::optional<Card> parse_card(ByteSpan bytes);

/// "rank 3 (node7, process 1234)".
[[nodiscard]] std::string name_of(const Card& card);
/// Why two ranks cannot be in one world, naming both; empty if they can.
[[nodiscard]] std::string difference(const Card& a, const Card& b);

/// Watches what comes to a meeting, and says what is wrong with it as soon as it can be known.
/// Blobs that are no cards are counted only.
class Meeting {
  public:
    /// Empty, or why there can be no meeting any more. `ranks` is what this rank believes.
    [[nodiscard]] std::string arrive(std::uint32_t rank, std::uint32_t ranks, ByteSpan blob);
    [[nodiscard]] std::uint32_t ranks() const { return ranks_; }
    [[nodiscard]] bool complete() const { return ranks_ > 0 && names_.size() == ranks_; }
    /// "not arrived: rank 2, 5".
    [[nodiscard]] std::string missing() const;

  private:
    std::uint32_t ranks_ = 0;
    std::map<std::uint32_t, std::string> names_;
    std::optional<Card> first_;
};

/// Identity of this host: boot, network namespace, uts name, and `word`.
[[nodiscard]] std::array<std::byte, 32> host_identity(const std::string& word);

}  // namespace weft::live::net
