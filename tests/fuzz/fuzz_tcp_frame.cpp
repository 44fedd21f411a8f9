// Any bytes are a header of a tcp frame or none, and what is taken for one is the same bytes again;
// the payloads of control frames and the cards likewise.
#include <array>
#include <cstdint>
#include <cstring>

#include "base/check.hpp"
#include "collectives/transport/tcp/bytes.hpp"
#include "collectives/transport/tcp/card.hpp"
#include "collectives/transport/tcp/crc32c.hpp"
#include "collectives/transport/tcp/frame.hpp"
#include "collectives/transport/tcp/link_watch.hpp"

namespace {

using namespace weft::live::tcp;

void try_header(std::span<const std::byte> bytes) {
    const auto header = decode_header(bytes);
    if (!header) return;
    WEFT_CHECK(header->length <= kLongestPayload, "a payload too long");
    WEFT_CHECK(
        header->kind != FrameKind::kMessage ||
            (header->offset <= header->size && header->length <= header->size - header->offset),
        "a payload outside of its message");
    std::array<std::byte, kHeaderSize> again;
    encode_header(*header, again);
    WEFT_CHECK(std::memcmp(again.data(), bytes.data(), kHeaderSize) == 0, "not the same bytes");
}

void try_entries(std::span<const std::byte> bytes) {
    std::vector<std::byte> again;
    if (const auto grants = parse_grants(bytes)) {
        for (const GrantEntry& e : *grants) append_grant(e, again);
        WEFT_CHECK(again.size() == bytes.size() && !again.empty(), "not the same grants");
    }
    again.clear();
    if (const auto acks = parse_acks(bytes)) {
        for (const std::uint64_t serial : *acks) append_ack(serial, again);
        WEFT_CHECK(again.size() == bytes.size(), "not the same acknowledgements");
    }
    if (const auto card = parse_card(bytes)) WEFT_CHECK(encode_card(*card).size() == bytes.size());
    (void)parse_link_changes(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
    try_header(bytes);
    try_entries(bytes);
    if (size >= kHeaderSize) {  // past the CRC, which no fuzzer guesses
        std::array<std::byte, kHeaderSize> signed_bytes;
        std::memcpy(signed_bytes.data(), data, kHeaderSize);
        store<std::uint16_t>(signed_bytes.data(), 0x5431);
        store<std::uint32_t>(signed_bytes.data() + kHeaderSize - 4,
                             crc32c(std::span(signed_bytes).first(kHeaderSize - 4)));
        try_header(signed_bytes);
    }
    return 0;
}
