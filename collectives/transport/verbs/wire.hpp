#pragma once
// What travels on a verbs lane besides the bytes that are written in place: messages of a header of
// 88 bytes and up to 1 KiB of payload, little-endian, each received into one slot. And the record
// that two ends of a queue pair show each other before it can carry anything.
// The parsers are pure functions of bytes: anything may come in.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/message.hpp"

namespace weft::live::verbs {

inline constexpr std::size_t kHeaderSize = 88;
inline constexpr std::size_t kMostPayload = 1024;
inline constexpr std::size_t kSlotSize = kHeaderSize + kMostPayload;
inline constexpr std::uint64_t kLongestMessage = std::uint64_t{1} << 48;

enum class Kind : std::uint8_t {
    kEager = 1,  // sender: a whole message
    kOffer,      // sender: a message waits for a grant
    kGrant,      // receiver: where the message with this serial goes: Target entries
    kWritten,    // sender: it is there
    kAcks,       // receiver: serials of messages that are consumed
    kFenced,     // either: this end of queue pair (lane, epoch) carries nothing any more
    kCredits,    // either: nothing but the header's credits
    kBye,        // either: leaves in peace
};

struct Header {
    Kind kind = Kind::kCredits;
    bool asks = false;          // kFenced: the other end has not said so yet
    std::uint16_t length = 0;   // of the payload
    std::uint32_t credits = 0;  // messages taken from slots so far, modulo 2^32
    std::uint32_t epoch = 0;    // kFenced
    std::uint32_t lane = 0;     // kFenced
    OperationHead head;
    std::uint32_t stream = 0;
    std::uint32_t sequence = 0;
    std::uint64_t serial = 0;  // of the posted send: a later attempt has a higher one
    std::uint64_t size = 0;    // of the message
    bool operator==(const Header&) const = default;
};
void encode_header(const Header& header, std::span<std::byte, kHeaderSize> out);
/// nullopt: not a message of this version, or nonsense in itself.
[[nodiscard]] std::optional<Header> parse_header(std::span<const std::byte> message);

/// A piece of registered memory that a peer may write.
struct Target {
    std::uint64_t address = 0;
    std::uint32_t key = 0;
    std::uint32_t size = 0;
    bool operator==(const Target&) const = default;
};
inline constexpr std::size_t kTargetSize = 16;
inline constexpr std::size_t kMostTargets = kMostPayload / kTargetSize;
void append_target(const Target& target, std::vector<std::byte>& out);
/// nullopt: not a whole number of entries, or their sizes do not add up to `size`.
[[nodiscard]] std::optional<std::vector<Target>> parse_targets(std::span<const std::byte> bytes,
                                                               std::uint64_t size);

inline constexpr std::size_t kMostAcks = kMostPayload / 8;
void append_ack(std::uint64_t serial, std::vector<std::byte>& out);
[[nodiscard]] std::optional<std::vector<std::uint64_t>> parse_acks(
    std::span<const std::byte> bytes);

/// One end of a queue pair, as the other needs to know it.
struct QpRecord {
    std::uint32_t lane = 0;
    std::uint32_t epoch = 0;
    std::uint32_t number = 0;                // of the queue pair, 24 bits
    std::uint32_t first_packet = 0;          // sequence number, 24 bits
    std::uint32_t slots = 0;                 // messages that may be on their way to it
    std::uint8_t mtu = 0;                    // as ibv_mtu
    std::array<std::uint8_t, 16> address{};  // GID
    bool operator==(const QpRecord&) const = default;
};
[[nodiscard]] std::vector<std::byte> encode_record(const QpRecord& record);
[[nodiscard]] std::optional<QpRecord> parse_record(std::span<const std::byte> bytes);

/// Queue pair `path` of a pair of ports gets this flow label; RoCE v2 turns it into the UDP source
/// port by which switches choose a path: ibv_flow_label_to_udp_sport(label) = 0xC000 | (the low 14
/// bits xor the 6 high ones). Neighbouring paths differ in many bits.
[[nodiscard]] std::uint32_t flow_label(std::uint32_t rail, std::uint32_t plane, std::uint32_t path,
                                       bool lower_rank);
[[nodiscard]] std::uint16_t udp_source_port(std::uint32_t label);

}  // namespace weft::live::verbs
