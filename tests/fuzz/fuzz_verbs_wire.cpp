// Any bytes are a message of a verbs lane or none, and what is taken for one is the same bytes
// again; targets, acknowledgements, records of queue pairs and cards likewise.
#include <array>
#include <cstdint>
#include <cstring>

#include "base/check.hpp"
#include "collectives/transport/verbs/card.hpp"
#include "collectives/transport/verbs/wire.hpp"

namespace {

using namespace weft::live::verbs;

void try_message(std::span<const std::byte> bytes) {
    const auto header = parse_header(bytes);
    if (!header) return;
    WEFT_CHECK(kHeaderSize + header->length == bytes.size(), "a payload of another length");
    WEFT_CHECK(header->kind != Kind::kEager || header->size == header->length, "half a message");
    std::array<std::byte, kHeaderSize> again;
    encode_header(*header, again);
    WEFT_CHECK(std::memcmp(again.data(), bytes.data(), kHeaderSize) == 0, "not the same bytes");
    const auto payload = bytes.subspan(kHeaderSize);
    if (const auto targets = parse_targets(payload, header->size)) {
        std::vector<std::byte> same;
        for (const Target& t : *targets) append_target(t, same);
        WEFT_CHECK(same.size() == payload.size(), "not the same targets");
    }
    if (const auto acks = parse_acks(payload))
        WEFT_CHECK(acks->size() * 8 == payload.size(), "not the same acknowledgements");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
    try_message(bytes);
    if (const auto record = parse_record(bytes)) {
        const auto again = encode_record(*record);
        WEFT_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()),
                   "not the same record");
    }
    if (const auto card = parse_card(bytes)) {
        const auto again = encode_card(*card);
        WEFT_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()),
                   "not the same card");
    }
    return 0;
}
