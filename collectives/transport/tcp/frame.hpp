#pragma once
// The wire format of a TCP lane: frames of a fixed header of 96 bytes and at most 256 KiB of
// payload, little-endian; the table with all offsets is in transport/README.md. Every header says
// the whole of what its message is (operation head, key, attempt, place), so that a receiver needs
// no memory of earlier frames, and carries a CRC-32C of itself.
// decode_header and the parsers of payloads are pure functions of bytes: anything may come in.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/message.hpp"

namespace weft::live::tcp {

inline constexpr std::size_t kHeaderSize = 96;
inline constexpr std::uint32_t kLongestPayload = 256 * 1024;
inline constexpr std::uint64_t kLongestMessage = std::uint64_t{1} << 48;

enum class FrameKind : std::uint8_t {
    kMessage = 1,  // sender: bytes [offset, offset + length) of a message
    kWant,         // sender: a short message waits for a grant, the room for eager ones being used
    kGrant,        // receiver: entries {stream, sequence, size} of messages that may come
    kAck,          // receiver: serials of messages that are consumed; may be empty (progress only)
    kProbe,        // either: are you there; `offset` comes back
    kReply,        // either
    kDown,         // either: connection `serial` (lane << 32 | epoch) is given up
    kBye,          // either: closes in peace
};

enum FrameFlag : std::uint8_t {
    kVerified = 1,    // payload_crc counts
    kHeaderOnly = 2,  // kMessage: nothing follows; shows the receiver what does not fit
    kOfSender = 4,    // kDown: the connection was opened by whoever sends this frame
};

struct FrameHeader {
    FrameKind kind = FrameKind::kProbe;
    std::uint8_t flags = 0;
    std::uint32_t epoch = 0;   // which connection of the lane
    std::uint32_t length = 0;  // of the payload
    OperationHead head;
    std::uint32_t stream = 0;
    std::uint32_t sequence = 0;
    std::uint64_t serial = 0;  // of the posted send: a later attempt has a higher one
    std::uint64_t size = 0;    // of the message; kAck: the receiver's longest pause of late, in ns
    std::uint64_t offset = 0;  // of the payload in the message; of a probe: its time
    std::uint64_t progress = 0;  // bytes that came on this connection from the other end so far
    std::uint32_t payload_crc = 0;
    bool operator==(const FrameHeader&) const = default;
};

void encode_header(const FrameHeader& header, std::span<std::byte, kHeaderSize> out);
/// nullopt: not a header of this version, damaged, or nonsense in itself.
[[nodiscard]] std::optional<FrameHeader> decode_header(std::span<const std::byte> bytes);

struct GrantEntry {
    std::uint32_t stream = 0;
    std::uint32_t sequence = 0;
    std::uint64_t size = 0;
    bool operator==(const GrantEntry&) const = default;
};
inline constexpr std::size_t kGrantEntrySize = 16;
inline constexpr std::size_t kMostEntries = 1024;  // in one frame, of grants and of acks
void append_grant(const GrantEntry& entry, std::vector<std::byte>& out);
/// nullopt: not a whole number of entries, none, or an impossible size.
[[nodiscard]] std::optional<std::vector<GrantEntry>> parse_grants(std::span<const std::byte> bytes);

inline constexpr std::size_t kAckSize = 8;
void append_ack(std::uint64_t serial, std::vector<std::byte>& out);
[[nodiscard]] std::optional<std::vector<std::uint64_t>> parse_acks(
    std::span<const std::byte> bytes);

}  // namespace weft::live::tcp
