#include "collectives/transport/net/handshake.hpp"

#include <algorithm>
#include <sodium.h>

#include "base/check.hpp"

namespace weft::live::net {

namespace {

constexpr std::uint32_t kMagic = 0x74666577;  // "weft"
constexpr std::uint8_t kPurposes = static_cast<std::uint8_t>(Purpose::kStore) + 1;
using Label = std::array<char, 16>;
constexpr Label kCallerLabel{"weft caller v1."};
constexpr Label kCalleeLabel{"weft callee v1."};
constexpr Label kSessionLabel{"weft session v1"};

void keyed_hash(std::array<std::byte, 32>& out, const Secret& secret, const Label& label,
                ByteSpan challenge, ByteSpan facts_and_nonce) {
    const auto bytes = [](const auto* p) { return reinterpret_cast<const unsigned char*>(p); };
    crypto_generichash_state state;
    crypto_generichash_init(&state, bytes(secret.data()), secret.size(), out.size());
    crypto_generichash_update(&state, bytes(label.data()), label.size());
    crypto_generichash_update(&state, bytes(challenge.data()), challenge.size());
    crypto_generichash_update(&state, bytes(facts_and_nonce.data()), facts_and_nonce.size());
    crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), out.size());
}

bool equal(ByteSpan a, ByteSpan b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::vector<std::byte> facts_of(const Hello& hello) {
    Writer w;
    w.u32(kMagic);
    w.u16(hello.version);
    w.u8(static_cast<std::uint8_t>(hello.purpose));
    w.u8(0);
    w.u32(hello.caller);
    w.u32(hello.callee);
    w.u64(hello.tag);
    WEFT_CHECK(w.size() == kFactsSize);
    return w.take();
}

bool parse_facts(ByteSpan facts, Hello& hello) {
    Reader r(facts);
    if (r.u32() != kMagic) return false;
    hello.version = r.u16();
    const std::uint8_t purpose = r.u8();
    if (purpose >= kPurposes || r.u8() != 0) return false;
    hello.purpose = static_cast<Purpose>(purpose);
    hello.caller = r.u32();
    hello.callee = r.u32();
    hello.tag = r.u64();
    return r.done();
}

constexpr std::size_t kSpoken = kFactsSize + 32;  // facts and nonce, without the proof

}  // namespace

Nonce fresh_nonce() {
    WEFT_CHECK(sodium_init() >= 0, "libsodium has no random numbers");
    Nonce out;
    randombytes_buf(out.data(), out.size());
    return out;
}

Handshake ListeningSide::take(ByteSpan bytes) {
    if (refused_ || bytes.size() > wanted()) {
        refused_ = true;
        return Handshake::kRefused;
    }
    std::copy(bytes.begin(), bytes.end(), in_.begin() + have_);
    have_ += bytes.size();
    const ByteSpan in(in_);
    // A stranger who speaks something else is shown the door at its first word.
    if (have_ >= 4 && Reader(in).u32() != kMagic) refused_ = true;
    if (refused_) return Handshake::kRefused;
    if (have_ < kHelloSize) return Handshake::kWaiting;
    std::array<std::byte, 32> proof;
    keyed_hash(proof, secret_, kCallerLabel, challenge_, in.first(kSpoken));
    refused_ = !equal(proof, in.subspan(kSpoken)) || !parse_facts(in.first(kFactsSize), hello_);
    if (refused_) return Handshake::kRefused;
    keyed_hash(answer_, secret_, kCalleeLabel, challenge_, in.first(kSpoken));
    keyed_hash(key_, secret_, kSessionLabel, challenge_, in.first(kSpoken));
    return Handshake::kProved;
}

CallingSide::CallingSide(const Secret& secret, const Nonce& fresh, const Hello& hello)
    : secret_(secret) {
    const std::vector<std::byte> facts = facts_of(hello);
    std::copy(facts.begin(), facts.end(), out_.begin());
    std::copy(fresh.begin(), fresh.end(), out_.begin() + kFactsSize);
}

Handshake CallingSide::take(ByteSpan bytes) {
    if (refused_ || bytes.size() > wanted()) {
        refused_ = true;
        return Handshake::kRefused;
    }
    const bool before = challenged();
    std::copy(bytes.begin(), bytes.end(), in_.begin() + have_);
    have_ += bytes.size();
    const ByteSpan challenge = ByteSpan(in_).first(kChallengeSize);
    const ByteSpan spoken = ByteSpan(out_).first(kSpoken);
    if (!before && challenged()) {
        std::array<std::byte, 32> proof;
        keyed_hash(proof, secret_, kCallerLabel, challenge, spoken);
        std::copy(proof.begin(), proof.end(), out_.begin() + kSpoken);
    }
    if (have_ < in_.size()) return Handshake::kWaiting;
    std::array<std::byte, 32> proof;
    keyed_hash(proof, secret_, kCalleeLabel, challenge, spoken);
    refused_ = !equal(proof, ByteSpan(in_).subspan(kChallengeSize));
    if (refused_) return Handshake::kRefused;
    keyed_hash(key_, secret_, kSessionLabel, challenge, spoken);
    return Handshake::kProved;
}

}  // namespace weft::live::net
