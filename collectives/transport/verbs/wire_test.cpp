#include "collectives/transport/verbs/wire.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <infiniband/verbs.h>
#include <set>
#include <sys/resource.h>

#include "base/rng.hpp"
#include "collectives/transport/verbs/card.hpp"
#include "collectives/transport/verbs/link.hpp"
#include "collectives/transport/verbs/memory.hpp"

namespace weft::live::verbs {
namespace {

std::vector<std::byte> message(const Header& header) {
    std::vector<std::byte> out(kHeaderSize + header.length);
    encode_header(header, std::span<std::byte, kHeaderSize>(out.data(), kHeaderSize));
    return out;
}

Header some_header() {
    Header h{.kind = Kind::kGrant, .length = 32, .credits = 7, .stream = 3, .sequence = 4};
    h.serial = 99;
    h.size = 5000;
    h.head = {.operation = 1,
              .plan_hash = 2,
              .count = 3,
              .context = 4,
              .collective = 5,
              .dtype = 6,
              .reduction = 7,
              .root = 8};
    return h;
}

TEST_CASE("a header that is written is read back, whatever follows it is counted", "[unit]") {
    const Header h = some_header();
    const auto bytes = message(h);
    const auto read = parse_header(bytes);
    REQUIRE(read.has_value());
    CHECK(*read == h);
    CHECK_FALSE(parse_header(std::span(bytes).first(bytes.size() - 1)).has_value());
    CHECK_FALSE(parse_header(std::span(bytes).first(10)).has_value());
}

TEST_CASE("messages of another version, of no kind, or nonsense in themselves are refused",
          "[unit]") {
    auto bytes = message(some_header());
    bytes[0] ^= std::byte{1};
    CHECK_FALSE(parse_header(bytes).has_value());
    Header h = some_header();
    h.kind = static_cast<Kind>(0);
    CHECK_FALSE(parse_header(message(h)).has_value());
    h.kind = static_cast<Kind>(9);
    CHECK_FALSE(parse_header(message(h)).has_value());
    h = some_header();
    h.kind = Kind::kEager;  // 32 bytes of 5000
    CHECK_FALSE(parse_header(message(h)).has_value());
    h.kind = Kind::kOffer;  // offers carry nothing
    CHECK_FALSE(parse_header(message(h)).has_value());
}

TEST_CASE("no bytes make the parsers read what is not there", "[unit]") {
    std::uint64_t seed = 1;
    for (std::size_t size = 0; size < 200; ++size) {
        std::vector<std::byte> bytes = message(some_header());
        bytes.resize(size);
        for (int flips = 0; flips < 3 && size > 0; ++flips) {
            seed = mix64(seed, size);
            bytes[seed % size] ^= static_cast<std::byte>(seed >> 32);
        }
        if (const auto h = parse_header(bytes)) CHECK(h->length + kHeaderSize == size);
        if (const auto t = parse_targets(bytes, size)) CHECK(t->size() * kTargetSize == size);
        if (const auto a = parse_acks(bytes)) CHECK(a->size() * 8 == size);
        (void)parse_record(bytes);
        (void)parse_card(bytes);
    }
}

TEST_CASE("targets must add up to the message that was offered", "[unit]") {
    std::vector<std::byte> bytes;
    append_target({.address = 4096, .key = 11, .size = 100}, bytes);
    append_target({.address = 8192, .key = 12, .size = 28}, bytes);
    const auto read = parse_targets(bytes, 128);
    REQUIRE(read.has_value());
    CHECK((*read)[1] == Target{.address = 8192, .key = 12, .size = 28});
    CHECK_FALSE(parse_targets(bytes, 127).has_value());
    append_target({.address = 1, .key = 1, .size = 0}, bytes);
    CHECK_FALSE(parse_targets(bytes, 128).has_value());
    CHECK(parse_targets({}, 0).has_value());
}

TEST_CASE("a queue pair's record is read back, and impossible ones are refused", "[unit]") {
    QpRecord r{.lane = 1, .epoch = 2, .number = 3, .first_packet = 4, .slots = 32, .mtu = 5};
    r.address[15] = 9;
    CHECK(parse_record(encode_record(r)) == r);
    const auto refused = [&](auto change) {
        QpRecord bad = r;
        change(bad);
        CHECK_FALSE(parse_record(encode_record(bad)).has_value());
    };
    refused([](QpRecord& b) { b.number = 1 << 24; });
    refused([](QpRecord& b) { b.first_packet = 1 << 24; });
    refused([](QpRecord& b) { b.slots = 0; });
    refused([](QpRecord& b) { b.mtu = 6; });
    refused([](QpRecord& b) { b.mtu = 0; });
}

TEST_CASE("flow labels become UDP source ports as the header has it, one for each path", "[unit]") {
    CHECK(udp_source_port(1000) == 50152);  // seen on the wire with rxe
    CHECK(udp_source_port(2000) == 51152);
    for (std::uint32_t label = 0; label < (1U << 20); label += 97)
        REQUIRE(udp_source_port(label) == ibv_flow_label_to_udp_sport(label));
    for (const bool lower : {false, true}) {
        std::set<std::uint16_t> ports;
        for (std::uint32_t path = 0; path < kMostPaths; ++path)
            ports.insert(udp_source_port(flow_label(1, 1, path, lower)));
        CHECK(ports.size() == kMostPaths);
    }
    CHECK(flow_label(0, 0, 0, true) != flow_label(0, 0, 0, false));
    CHECK(flow_label(0, 0, 0, true) != flow_label(0, 1, 0, true));
}

TEST_CASE("cards are read back; lanes join RDMA ports of one rail and plane", "[unit]") {
    const Card mine{.paths = 2, .devices = {true, true, false, true}};
    CHECK(parse_card(encode_card(mine)) == mine);
    CHECK_FALSE(parse_card(encode_card({.paths = 0, .devices = {true}})).has_value());
    auto bytes = encode_card(mine);
    bytes.back() = std::byte{2};
    CHECK_FALSE(parse_card(bytes).has_value());
    std::vector<Port> ports;
    for (std::int32_t rail = 0; rail < 2; ++rail)
        for (std::int32_t plane = 0; plane < 2; ++plane)
            ports.push_back({.rail = rail, .plane = plane});
    const Card theirs{.paths = 3, .devices = {true, true, true, true}};
    const auto here = derive_lanes({.rank = 4, .ports = ports, .card = mine},
                                   {.rank = 2, .ports = ports, .card = theirs});
    const auto there = derive_lanes({.rank = 2, .ports = ports, .card = theirs},
                                    {.rank = 4, .ports = ports, .card = mine});
    REQUIRE(here.size() == 6);  // three pairs of ports, two paths
    REQUIRE(there.size() == 6);
    for (std::size_t i = 0; i < here.size(); ++i) {
        CHECK(here[i].local_port == there[i].remote_port);
        CHECK(here[i].remote_port == there[i].local_port);
        CHECK(here[i].path == i % 2);
        CHECK(here[i].plane == there[i].plane);
        CHECK(here[i].local_port != 2);
    }
}

TEST_CASE("a request's number says what it was", "[unit]") {
    for (const auto what :
         {RequestId::What::kSend, RequestId::What::kWrite, RequestId::What::kReceive}) {
        const auto read = decode_request(encode({.what = what, .link = 77, .number = 0xfffffff0}));
        CHECK(read.what == what);
        CHECK(read.link == 77);
        CHECK(read.number == 0xfffffff0);
    }
}

TEST_CASE("too little lockable memory is one line that says what to do", "[unit]") {
    const std::string text = registration_failed(1 << 20, ENOMEM, 64 << 10);
    CHECK(text ==
          "RDMA cannot lock 1048576 bytes of memory: this process may lock 65536 in all (ulimit -l "
          "64); raise the limit, or choose another transport");
    CHECK_THAT(registration_failed(10, EFAULT, 64 << 10), Catch::Contains("Bad address"));
    CHECK_THAT(registration_failed(10, ENOMEM, RLIM_INFINITY), Catch::Contains("Cannot allocate"));
}

}  // namespace
}  // namespace weft::live::verbs
