#pragma once
// The stores that an id can name, behind open_store().
#include <memory>

#include "collectives/transport/net/unique_id.hpp"

namespace weft::live::net {

/// The callee's number in a handshake with a store.
constexpr std::uint32_t kStoreRank = 0xffff'ffff;
constexpr std::size_t kMaxBlob = 64 << 10;
constexpr std::uint32_t kMaxRanks = 1 << 20;

[[nodiscard]] Outcome<std::unique_ptr<Store>> open_tcp_store(const IdParts& parts);
[[nodiscard]] std::unique_ptr<Store> open_directory_store(const IdParts& parts);

/// What a store answers.
struct StoreMessage {
    enum class Kind : std::uint8_t { kBring, kBlob, kRefusal };
    Kind kind = Kind::kBring;
    std::uint32_t number = 0;  // kBring: milliseconds that the rank will wait; kBlob: whose it is
    ByteSpan bytes;            // the blob, or the text of the refusal
};
[[nodiscard]] std::vector<std::byte> encode(const StoreMessage& message);
[[nodiscard]] std::optional<StoreMessage> parse_store_message(ByteSpan payload);

}  // namespace weft::live::net
