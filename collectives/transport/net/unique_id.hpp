#pragma once
// What the 128 bytes of a UniqueId say: the world's secret and where its store is.
#include <string>

#include "collectives/transport/net/handshake.hpp"
#include "collectives/transport/net/world.hpp"

namespace weft::live::net {

struct IdParts {
    enum class Kind : std::uint8_t { kNone, kTcp, kDirectory };
    Kind kind = Kind::kNone;
    Secret secret{};
    std::uint16_t port = 0;  // kTcp
    std::string place;       // numeric address, or directory
    static constexpr std::size_t kMaxPlace = 85;
};
[[nodiscard]] UniqueId pack(const IdParts& parts);
/// LiveError for bytes that are no id of this format.
[[nodiscard]] Outcome<IdParts> unpack(const UniqueId& id);

}  // namespace weft::live::net
