#include "collectives/transport/verbs/wire.hpp"

#include <bit>
#include <cstring>

namespace weft::live::verbs {

namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

constexpr std::uint32_t kMagic = 0x31567457;  // "WtV1"
constexpr std::uint32_t kRecordMagic = 0x31527457;
constexpr std::size_t kRecordSize = 44;
constexpr std::uint32_t kMost24 = 0xffffff;
constexpr std::uint32_t kMostSlots = 1 << 16;
constexpr std::uint8_t kMtu256 = 1;
constexpr std::uint8_t kMtu4096 = 5;

/// The header as it lies in memory and on the wire.
struct Packed {
    std::uint32_t magic, credits, epoch, lane;
    std::uint64_t operation, plan_hash, count;
    std::uint32_t context, root;
    std::uint8_t collective, dtype, reduction, kind;
    std::uint32_t stream, sequence;
    std::uint16_t length;
    std::uint8_t asks, zero;
    std::uint64_t serial, size, spare;
};
static_assert(sizeof(Packed) == kHeaderSize);

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at) {
    T v;
    std::memcpy(&v, bytes.data() + at, sizeof v);
    return v;
}

template <class T>
void append(T v, std::vector<std::byte>& out) {
    const std::size_t at = out.size();
    out.resize(at + sizeof v);
    std::memcpy(out.data() + at, &v, sizeof v);
}

}  // namespace

void encode_header(const Header& h, std::span<std::byte, kHeaderSize> out) {
    const Packed p{.magic = kMagic,
                   .credits = h.credits,
                   .epoch = h.epoch,
                   .lane = h.lane,
                   .operation = h.head.operation,
                   .plan_hash = h.head.plan_hash,
                   .count = h.head.count,
                   .context = h.head.context,
                   .root = h.head.root,
                   .collective = h.head.collective,
                   .dtype = h.head.dtype,
                   .reduction = h.head.reduction,
                   .kind = static_cast<std::uint8_t>(h.kind),
                   .stream = h.stream,
                   .sequence = h.sequence,
                   .length = h.length,
                   .asks = h.asks ? std::uint8_t{1} : std::uint8_t{0},
                   .zero = 0,
                   .serial = h.serial,
                   .size = h.size,
                   .spare = 0};
    std::memcpy(out.data(), &p, sizeof p);
}

std::optional<Header> parse_header(std::span<const std::byte> message) {
    if (message.size() < kHeaderSize || message.size() > kSlotSize) return std::nullopt;
    const auto p = load<Packed>(message, 0);
    const bool known = p.kind >= static_cast<std::uint8_t>(Kind::kEager) &&
                       p.kind <= static_cast<std::uint8_t>(Kind::kBye);
    if (p.magic != kMagic || !known || p.length != message.size() - kHeaderSize || p.asks > 1 ||
        p.zero != 0 || p.spare != 0 || p.size > kLongestMessage)
        return std::nullopt;
    Header h{.kind = static_cast<Kind>(p.kind),
             .asks = p.asks == 1,
             .length = p.length,
             .credits = p.credits,
             .epoch = p.epoch,
             .lane = p.lane,
             .stream = p.stream,
             .sequence = p.sequence,
             .serial = p.serial,
             .size = p.size};
    h.head = {.operation = p.operation,
              .plan_hash = p.plan_hash,
              .count = p.count,
              .context = p.context,
              .collective = p.collective,
              .dtype = p.dtype,
              .reduction = p.reduction,
              .root = p.root};
    if (h.kind == Kind::kEager && h.size != h.length) return std::nullopt;
    const bool bare = h.kind == Kind::kOffer || h.kind == Kind::kWritten ||
                      h.kind == Kind::kFenced || h.kind == Kind::kCredits || h.kind == Kind::kBye;
    if (bare && h.length != 0) return std::nullopt;
    return h;
}

void append_target(const Target& target, std::vector<std::byte>& out) {
    append(target.address, out);
    append(target.key, out);
    append(target.size, out);
}

std::optional<std::vector<Target>> parse_targets(std::span<const std::byte> bytes,
                                                 std::uint64_t size) {
    if (bytes.size() % kTargetSize != 0 || bytes.size() > kMostPayload) return std::nullopt;
    std::vector<Target> all;
    std::uint64_t total = 0;
    for (std::size_t at = 0; at < bytes.size(); at += kTargetSize) {
        all.push_back({.address = load<std::uint64_t>(bytes, at),
                       .key = load<std::uint32_t>(bytes, at + 8),
                       .size = load<std::uint32_t>(bytes, at + 12)});
        if (all.back().size == 0) return std::nullopt;
        total += all.back().size;
    }
    if (total != size) return std::nullopt;
    return all;
}

void append_ack(std::uint64_t serial, std::vector<std::byte>& out) {
    append(serial, out);
}

std::optional<std::vector<std::uint64_t>> parse_acks(std::span<const std::byte> bytes) {
    if (bytes.empty() || bytes.size() % 8 != 0 || bytes.size() > kMostPayload) return std::nullopt;
    std::vector<std::uint64_t> all;
    for (std::size_t at = 0; at < bytes.size(); at += 8)
        all.push_back(load<std::uint64_t>(bytes, at));
    return all;
}

std::vector<std::byte> encode_record(const QpRecord& r) {
    std::vector<std::byte> out;
    append(kRecordMagic, out);
    append(r.lane, out);
    append(r.epoch, out);
    append(r.number, out);
    append(r.first_packet, out);
    append(r.slots, out);
    append(std::uint32_t{r.mtu}, out);
    append(r.address, out);
    return out;
}

std::optional<QpRecord> parse_record(std::span<const std::byte> bytes) {
    if (bytes.size() != kRecordSize || load<std::uint32_t>(bytes, 0) != kRecordMagic)
        return std::nullopt;
    QpRecord r{.lane = load<std::uint32_t>(bytes, 4),
               .epoch = load<std::uint32_t>(bytes, 8),
               .number = load<std::uint32_t>(bytes, 12),
               .first_packet = load<std::uint32_t>(bytes, 16),
               .slots = load<std::uint32_t>(bytes, 20)};
    const auto mtu = load<std::uint32_t>(bytes, 24);
    if (r.number > kMost24 || r.first_packet > kMost24 || r.slots == 0 || r.slots > kMostSlots ||
        mtu < kMtu256 || mtu > kMtu4096)
        return std::nullopt;
    r.mtu = static_cast<std::uint8_t>(mtu);
    r.address = load<std::array<std::uint8_t, 16>>(bytes, 28);
    return r;
}

std::uint32_t flow_label(std::uint32_t rail, std::uint32_t plane, std::uint32_t path,
                         bool lower_rank) {
    // An odd multiplier visits all 2^14 low values before it repeats.
    const std::uint32_t which = ((path * 61 + rail) * 31 + plane) * 2 + (lower_rank ? 0 : 1);
    return (which * 0x1A35 + 1000) & 0x3fff;
}

std::uint16_t udp_source_port(std::uint32_t label) {
    const std::uint32_t low = (label & 0x3fff) ^ ((label & 0xfc000) >> 14);
    return static_cast<std::uint16_t>(low | 0xc000);
}

}  // namespace weft::live::verbs
