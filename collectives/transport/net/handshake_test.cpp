#include "collectives/transport/net/handshake.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "collectives/transport/net/frame.hpp"

namespace {

using namespace weft::live;
using namespace weft::live::net;

const Secret kSecret = fresh_nonce();
const Hello kHello{.purpose = Purpose::kShm, .caller = 3, .callee = 5, .tag = 0x1234567890};

std::vector<std::byte> copy(ByteSpan bytes) {
    return {bytes.begin(), bytes.end()};
}

// The hello of a caller that knows `secret`, to a challenge.
std::vector<std::byte> hello_to(ByteSpan challenge, const Secret& secret, const Hello& hello) {
    CallingSide caller(secret, fresh_nonce(), hello);
    CHECK(caller.to_send().empty());
    CHECK(caller.take(challenge) == Handshake::kWaiting);
    return copy(caller.to_send());
}

TEST_CASE("two sides that know the secret agree on what was said and on a key", "[unit]") {
    ListeningSide listening(kSecret, fresh_nonce());
    CallingSide calling(kSecret, fresh_nonce(), kHello);
    // In pieces of one byte: nothing depends on how the bytes come.
    for (const std::byte b : listening.challenge())
        CHECK(calling.take({&b, 1}) == Handshake::kWaiting);
    const auto hello = copy(calling.to_send());
    REQUIRE(hello.size() == kHelloSize);
    for (std::size_t i = 0; i < hello.size(); ++i) {
        CHECK(listening.wanted() == hello.size() - i);
        const auto state = listening.take(ByteSpan(hello).subspan(i, 1));
        CHECK(state == (i + 1 < hello.size() ? Handshake::kWaiting : Handshake::kProved));
    }
    CHECK(listening.hello() == kHello);
    CHECK(calling.take(listening.answer()) == Handshake::kProved);
    CHECK(calling.key() == listening.key());
    CHECK(calling.wanted() == 0);
}

TEST_CASE("every changed bit of a hello or an answer is refused", "[unit]") {
    for (std::size_t bit = 0; bit < kHelloSize * 8; ++bit) {
        ListeningSide listening(kSecret, fresh_nonce());
        auto hello = hello_to(listening.challenge(), kSecret, kHello);
        hello[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        if (listening.take(hello) != Handshake::kRefused) FAIL("bit " << bit << " of the hello");
    }
    for (std::size_t bit = 0; bit < kAnswerSize * 8; ++bit) {
        ListeningSide listening(kSecret, fresh_nonce());
        CallingSide calling(kSecret, fresh_nonce(), kHello);
        static_cast<void>(calling.take(listening.challenge()));
        REQUIRE(listening.take(calling.to_send()) == Handshake::kProved);
        auto answer = copy(listening.answer());
        answer[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        if (calling.take(answer) != Handshake::kRefused) FAIL("bit " << bit << " of the answer");
    }
}

TEST_CASE("a hello is good for one challenge only", "[unit]") {
    ListeningSide first(kSecret, fresh_nonce());
    ListeningSide second(kSecret, fresh_nonce());
    const auto hello = hello_to(first.challenge(), kSecret, kHello);
    CHECK(first.take(hello) == Handshake::kProved);
    CHECK(second.take(hello) == Handshake::kRefused);
}

TEST_CASE("who does not know the secret proves nothing to either side", "[unit]") {
    const Secret other = fresh_nonce();
    ListeningSide listening(kSecret, fresh_nonce());
    CHECK(listening.take(hello_to(listening.challenge(), other, kHello)) == Handshake::kRefused);
    CallingSide calling(kSecret, fresh_nonce(), kHello);
    ListeningSide stranger(other, fresh_nonce());
    static_cast<void>(calling.take(stranger.challenge()));
    static_cast<void>(stranger.take(calling.to_send()));
    CHECK(calling.take(stranger.answer()) == Handshake::kRefused);
    // The caller's own proof, sent back to it, is no answer.
    CallingSide fooled(kSecret, fresh_nonce(), kHello);
    static_cast<void>(fooled.take(fresh_nonce()));
    CHECK(fooled.take(fooled.to_send().last(kAnswerSize)) == Handshake::kRefused);
}

TEST_CASE("too many bytes, or another protocol's first word, are refused", "[unit]") {
    ListeningSide listening(kSecret, fresh_nonce());
    const std::string http = "GET ";
    CHECK(listening.take(std::as_bytes(std::span(http.data(), 4))) == Handshake::kRefused);
    ListeningSide again(kSecret, fresh_nonce());
    CHECK(again.take(std::vector<std::byte>(kHelloSize + 1)) == Handshake::kRefused);
    CallingSide calling(kSecret, fresh_nonce(), kHello);
    CHECK(calling.take(std::vector<std::byte>(33)) == Handshake::kRefused);
}

SessionKey some_key() {
    return fresh_nonce();
}

std::vector<std::vector<std::byte>> all_of(FrameReader& reader) {
    std::vector<std::vector<std::byte>> out;
    while (const auto payload = reader.next()) out.push_back(copy(*payload));
    return out;
}

TEST_CASE("frames come out as they went in, however they are cut", "[unit]") {
    const SessionKey key = some_key();
    const std::size_t piece = GENERATE(std::size_t{1}, 7, 100'000);
    FrameWriter writer(key, Side::kCaller);
    FrameReader reader(key, Side::kCallee);
    std::vector<std::vector<std::byte>> sent;
    std::vector<std::byte> wire;
    for (const std::size_t size : {0, 1, 300, 5'000}) {
        sent.emplace_back(size, static_cast<std::byte>(size));
        writer.write(sent.back(), wire);
    }
    std::vector<std::vector<std::byte>> got;
    for (std::size_t at = 0; at < wire.size(); at += piece) {
        reader.feed(ByteSpan(wire).subspan(at, std::min(piece, wire.size() - at)));
        for (auto& payload : all_of(reader)) got.push_back(std::move(payload));
    }
    CHECK(got == sent);
    CHECK_FALSE(reader.broken());
}

TEST_CASE("a changed, repeated, dropped, reflected or endless frame breaks the reader", "[unit]") {
    const SessionKey key = some_key();
    FrameWriter writer(key, Side::kCaller);
    std::vector<std::byte> one;
    std::vector<std::byte> two;
    writer.write(std::vector<std::byte>(10), one);
    writer.write(std::vector<std::byte>(10), two);
    const auto breaks = [&](std::vector<std::vector<std::byte>> wire, Side side) {
        FrameReader reader(key, side);
        for (const auto& bytes : wire) reader.feed(bytes);
        static_cast<void>(all_of(reader));
        return reader.broken();
    };
    CHECK_FALSE(breaks({one, two}, Side::kCallee));
    CHECK(breaks({one, one}, Side::kCallee));
    CHECK(breaks({two}, Side::kCallee));
    CHECK(breaks({one}, Side::kCaller));
    for (std::size_t i = 4; i < one.size(); ++i) {
        auto changed = one;
        changed[i] ^= std::byte{1};
        CHECK(breaks({changed}, Side::kCallee));
    }
    CHECK(breaks({std::vector<std::byte>(4, std::byte{0xff})}, Side::kCallee));
}

}  // namespace
