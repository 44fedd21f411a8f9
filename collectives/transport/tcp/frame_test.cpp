#include "collectives/transport/tcp/frame.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "base/rng.hpp"
#include "collectives/transport/tcp/bytes.hpp"
#include "collectives/transport/tcp/crc32c.hpp"

namespace weft::live::tcp {
namespace {

FrameHeader some_header() {
    return {.kind = FrameKind::kMessage,
            .flags = kVerified,
            .epoch = 3,
            .length = 1000,
            .head = {.operation = 1ULL << 40,
                     .plan_hash = 0x123456789abcdef0,
                     .count = 77,
                     .context = 9,
                     .collective = 2,
                     .dtype = 4,
                     .reduction = 1,
                     .reserved = 5,
                     .root = 6},
            .stream = 11,
            .sequence = 12,
            .serial = 13,
            .size = 5000,
            .offset = 4000,
            .progress = 99,
            .payload_crc = 0xdeadbeef};
}

std::array<std::byte, kHeaderSize> encoded(const FrameHeader& h) {
    std::array<std::byte, kHeaderSize> out;
    encode_header(h, out);
    return out;
}

TEST_CASE("a header comes back as it went", "[unit]") {
    const FrameHeader h = some_header();
    CHECK(decode_header(encoded(h)) == h);
    CHECK(decode_header(encoded({.kind = FrameKind::kBye})).has_value());
}

TEST_CASE("a header with any one bit turned is refused", "[unit]") {
    const auto good = encoded(some_header());
    for (std::size_t bit = 0; bit < 8 * kHeaderSize; ++bit) {
        auto bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        if (decode_header(bad)) FAIL("bit " << bit);
    }
    CHECK_FALSE(decode_header(std::span(good).first(kHeaderSize - 1)).has_value());
}

TEST_CASE("headers that make no sense are refused although their CRC is right", "[unit]") {
    const auto refused = [](auto change) {
        FrameHeader h = some_header();
        change(h);
        return !decode_header(encoded(h)).has_value();
    };
    CHECK(refused([](FrameHeader& h) { h.length = kLongestPayload + 1; }));
    CHECK(refused([](FrameHeader& h) { h.offset = 4001; }));
    CHECK(refused([](FrameHeader& h) { h.offset = ~std::uint64_t{0}; }));
    CHECK(refused([](FrameHeader& h) { h.size = kLongestMessage + 1; }));
    CHECK(refused([](FrameHeader& h) { h.length = 0; }));
    CHECK(refused([](FrameHeader& h) { h.flags = kHeaderOnly; }));
    CHECK(refused([](FrameHeader& h) { h.flags = 8; }));
    CHECK(refused([](FrameHeader& h) { h.kind = static_cast<FrameKind>(0); }));
    CHECK(refused([](FrameHeader& h) { h.kind = static_cast<FrameKind>(9); }));
    CHECK(refused([](FrameHeader& h) { h.kind = FrameKind::kGrant; }));  // 1000 is not n x 16
    CHECK(refused([](FrameHeader& h) { h.kind = FrameKind::kProbe; }));
}

TEST_CASE("grants and acknowledgements come back as they went, or not at all", "[unit]") {
    std::vector<std::byte> bytes;
    append_grant({1, 2, 3}, bytes);
    append_grant({4, 5, kLongestMessage}, bytes);
    const auto grants = parse_grants(bytes);
    REQUIRE(grants.has_value());
    CHECK(*grants == std::vector<GrantEntry>{{1, 2, 3}, {4, 5, kLongestMessage}});
    CHECK_FALSE(parse_grants(std::span(bytes).first(31)).has_value());
    CHECK_FALSE(parse_grants({}).has_value());
    append_grant({4, 5, kLongestMessage + 1}, bytes);
    CHECK_FALSE(parse_grants(bytes).has_value());
    std::vector<std::byte> acks;
    append_ack(7, acks);
    append_ack(~std::uint64_t{0}, acks);
    CHECK(parse_acks(acks) == std::vector<std::uint64_t>{7, ~std::uint64_t{0}});
    CHECK(parse_acks({}) == std::vector<std::uint64_t>{});
    CHECK_FALSE(parse_acks(std::span(acks).first(9)).has_value());
    CHECK_FALSE(parse_acks(std::vector<std::byte>(kAckSize * (kMostEntries + 1))).has_value());
}

TEST_CASE("CRC-32C gives the check value of its definition", "[unit]") {
    const char text[] = "123456789";
    const std::span bytes = std::as_bytes(std::span(text, 9));
    CHECK(crc32c(bytes) == 0xe3069283U);
    CHECK(crc32c_by_tables(bytes) == 0xe3069283U);
    CHECK(crc32c(std::vector<std::byte>(32)) == 0x8a9136aaU);  // RFC 3720, B.4: 32 zero bytes
}

TEST_CASE("CRC-32C by instruction equals that by tables, whole or in parts", "[property]") {
    std::vector<std::byte> bytes(20000);
    RandomStream random{5, 0, "bytes"};
    for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
    for (std::size_t size : {0, 1, 7, 8, 9, 1023, 3071, 3072, 3073, 6144, 9999, 20000}) {
        const auto part = std::span<const std::byte>(bytes).last(size);
        CHECK(crc32c(part) == crc32c_by_tables(part));
        const std::size_t cut = random.below(size + 1);
        CHECK(crc32c(part.subspan(cut), crc32c(part.first(cut))) == crc32c(part));
    }
}

}  // namespace
}  // namespace weft::live::tcp
