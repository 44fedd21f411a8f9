#include "collectives/transport/tcp/frame.hpp"

#include "collectives/transport/tcp/bytes.hpp"
#include "collectives/transport/tcp/crc32c.hpp"

namespace weft::live::tcp {

namespace {

constexpr std::uint16_t kMagic = 0x5431;  // "1T": version 1
constexpr std::size_t kCrcAt = kHeaderSize - 4;

bool makes_sense(const FrameHeader& h) {
    const bool only = (h.flags & kHeaderOnly) != 0;
    switch (h.kind) {
        case FrameKind::kMessage:
            return h.size <= kLongestMessage && h.length <= h.size &&
                   h.offset <= h.size - h.length && (!only || h.length == 0) &&
                   (only || h.length > 0 || h.size == 0);
        case FrameKind::kWant:
            return h.size <= kLongestMessage && h.length == 0;
        case FrameKind::kGrant:
            return h.length > 0 && h.length % kGrantEntrySize == 0 &&
                   h.length / kGrantEntrySize <= kMostEntries;
        case FrameKind::kAck:
            return h.length % kAckSize == 0 && h.length / kAckSize <= kMostEntries;
        case FrameKind::kProbe:
        case FrameKind::kReply:
        case FrameKind::kDown:
        case FrameKind::kBye:
            return h.length == 0;
    }
    return false;
}

}  // namespace

void encode_header(const FrameHeader& h, std::span<std::byte, kHeaderSize> out) {
    std::byte* at = out.data();
    store<std::uint16_t>(at, kMagic);
    store<std::uint8_t>(at + 2, static_cast<std::uint8_t>(h.kind));
    store<std::uint8_t>(at + 3, h.flags);
    store<std::uint8_t>(at + 4, h.head.collective);
    store<std::uint8_t>(at + 5, h.head.dtype);
    store<std::uint8_t>(at + 6, h.head.reduction);
    store<std::uint8_t>(at + 7, h.head.reserved);
    store<std::uint32_t>(at + 8, h.epoch);
    store<std::uint32_t>(at + 12, h.length);
    store<std::uint64_t>(at + 16, h.head.operation);
    store<std::uint64_t>(at + 24, h.head.plan_hash);
    store<std::uint64_t>(at + 32, h.head.count);
    store<std::uint32_t>(at + 40, h.head.context);
    store<std::uint32_t>(at + 44, h.head.root);
    store<std::uint32_t>(at + 48, h.stream);
    store<std::uint32_t>(at + 52, h.sequence);
    store<std::uint64_t>(at + 56, h.serial);
    store<std::uint64_t>(at + 64, h.size);
    store<std::uint64_t>(at + 72, h.offset);
    store<std::uint64_t>(at + 80, h.progress);
    store<std::uint32_t>(at + 88, h.payload_crc);
    store<std::uint32_t>(at + kCrcAt, crc32c(out.first(kCrcAt)));
}

std::optional<FrameHeader> decode_header(std::span<const std::byte> bytes) {
    if (bytes.size() < kHeaderSize) return std::nullopt;
    const std::byte* at = bytes.data();
    if (load<std::uint16_t>(at) != kMagic) return std::nullopt;
    if (load<std::uint32_t>(at + kCrcAt) != crc32c(bytes.first(kCrcAt))) return std::nullopt;
    const auto kind = load<std::uint8_t>(at + 2);
    if (kind < static_cast<std::uint8_t>(FrameKind::kMessage) ||
        kind > static_cast<std::uint8_t>(FrameKind::kBye))
        return std::nullopt;
    FrameHeader h;
    h.kind = static_cast<FrameKind>(kind);
    h.flags = load<std::uint8_t>(at + 3);
    if (h.flags > (kVerified | kHeaderOnly | kOfSender)) return std::nullopt;
    h.head.collective = load<std::uint8_t>(at + 4);
    h.head.dtype = load<std::uint8_t>(at + 5);
    h.head.reduction = load<std::uint8_t>(at + 6);
    h.head.reserved = load<std::uint8_t>(at + 7);
    h.epoch = load<std::uint32_t>(at + 8);
    h.length = load<std::uint32_t>(at + 12);
    h.head.operation = load<std::uint64_t>(at + 16);
    h.head.plan_hash = load<std::uint64_t>(at + 24);
    h.head.count = load<std::uint64_t>(at + 32);
    h.head.context = load<std::uint32_t>(at + 40);
    h.head.root = load<std::uint32_t>(at + 44);
    h.stream = load<std::uint32_t>(at + 48);
    h.sequence = load<std::uint32_t>(at + 52);
    h.serial = load<std::uint64_t>(at + 56);
    h.size = load<std::uint64_t>(at + 64);
    h.offset = load<std::uint64_t>(at + 72);
    h.progress = load<std::uint64_t>(at + 80);
    h.payload_crc = load<std::uint32_t>(at + 88);
    if (h.length > kLongestPayload || !makes_sense(h)) return std::nullopt;
    return h;
}

void append_grant(const GrantEntry& entry, std::vector<std::byte>& out) {
    const std::size_t at = out.size();
    out.resize(at + kGrantEntrySize);
    store<std::uint32_t>(out.data() + at, entry.stream);
    store<std::uint32_t>(out.data() + at + 4, entry.sequence);
    store<std::uint64_t>(out.data() + at + 8, entry.size);
}

std::optional<std::vector<GrantEntry>> parse_grants(std::span<const std::byte> bytes) {
    if (bytes.empty() || bytes.size() % kGrantEntrySize != 0 ||
        bytes.size() / kGrantEntrySize > kMostEntries)
        return std::nullopt;
    std::vector<GrantEntry> entries;
    entries.reserve(bytes.size() / kGrantEntrySize);
    for (; !bytes.empty(); bytes = bytes.subspan(kGrantEntrySize)) {
        entries.push_back({.stream = load<std::uint32_t>(bytes.data()),
                           .sequence = load<std::uint32_t>(bytes.data() + 4),
                           .size = load<std::uint64_t>(bytes.data() + 8)});
        if (entries.back().size > kLongestMessage) return std::nullopt;
    }
    return entries;
}

void append_ack(std::uint64_t serial, std::vector<std::byte>& out) {
    const std::size_t at = out.size();
    out.resize(at + kAckSize);
    store<std::uint64_t>(out.data() + at, serial);
}

std::optional<std::vector<std::uint64_t>> parse_acks(std::span<const std::byte> bytes) {
    if (bytes.size() % kAckSize != 0 || bytes.size() / kAckSize > kMostEntries) return std::nullopt;
    std::vector<std::uint64_t> serials;
    serials.reserve(bytes.size() / kAckSize);
    for (; !bytes.empty(); bytes = bytes.subspan(kAckSize))
        serials.push_back(load<std::uint64_t>(bytes.data()));
    return serials;
}

}  // namespace weft::live::tcp
