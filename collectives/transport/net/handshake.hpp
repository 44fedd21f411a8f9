#pragma once
// The handshake of every connection between ranks: both sides prove that they know the world's
// secret, bound to this connection, its purpose and its two ranks. Pure state machines over bytes,
// without sockets. Messages have fixed sizes; nothing is allocated.
//
//   listening side                      caller
//   challenge: 32 random bytes    ->
//                                 <-    hello: facts, 32 random bytes, proof of the caller   (88)
//   answer: proof of the callee   ->                                                         (32)
//
// proof = BLAKE2b keyed with the secret over (label of the side, challenge, facts, nonce), and the
// session key is the same under a third label. Fresh nonces of both sides: nothing can be replayed;
// a label for each side: nothing can be reflected; callee and purpose in the facts: nothing can be
// forwarded to another rank or used for something else. Until the caller has proved itself it has
// seen random bytes only. Leaves out: secrecy and integrity of what follows (frame.hpp has the
// latter).
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/net/wire.hpp"

namespace weft::live::net {

/// Of all that ranks say to each other in this folder.
constexpr std::uint16_t kProtocol = 1;

using Secret = std::array<std::byte, 32>;
using Nonce = std::array<std::byte, 32>;
[[nodiscard]] Nonce fresh_nonce();

/// What the caller says about a connection; proved along with the secret.
struct Hello {
    std::uint16_t version = kProtocol;
    Purpose purpose = Purpose::kControl;
    std::uint32_t caller = 0;
    std::uint32_t callee = 0;
    std::uint64_t tag = 0;
    bool operator==(const Hello&) const = default;
};

constexpr std::size_t kChallengeSize = 32;
constexpr std::size_t kFactsSize = 24;
constexpr std::size_t kHelloSize = kFactsSize + 32 + 32;
constexpr std::size_t kAnswerSize = 32;

enum class Handshake : std::uint8_t { kWaiting, kProved, kRefused };

/// The side that was called. Send challenge(); take() what comes, never more than wanted(); when it
/// is proved send answer().
class ListeningSide {
  public:
    ListeningSide(const Secret& secret, const Nonce& fresh) : secret_(secret), challenge_(fresh) {}
    [[nodiscard]] ByteSpan challenge() const { return challenge_; }
    [[nodiscard]] std::size_t wanted() const { return kHelloSize - have_; }
    Handshake take(ByteSpan bytes);
    [[nodiscard]] const Hello& hello() const { return hello_; }
    [[nodiscard]] ByteSpan answer() const { return answer_; }
    [[nodiscard]] const SessionKey& key() const { return key_; }

  private:
    Secret secret_;
    Nonce challenge_;
    std::array<std::byte, kHelloSize> in_{};
    std::size_t have_ = 0;
    bool refused_ = false;
    Hello hello_;
    std::array<std::byte, kAnswerSize> answer_{};
    SessionKey key_{};
};

/// The side that calls. take() what comes, never more than wanted(); send what to_send() gives.
class CallingSide {
  public:
    CallingSide(const Secret& secret, const Nonce& fresh, const Hello& hello);
    [[nodiscard]] std::size_t wanted() const {
        return (challenged() ? kChallengeSize + kAnswerSize : kChallengeSize) - have_;
    }
    Handshake take(ByteSpan bytes);
    /// The hello, once the challenge has come; empty before.
    [[nodiscard]] ByteSpan to_send() const { return challenged() ? ByteSpan(out_) : ByteSpan(); }
    [[nodiscard]] const SessionKey& key() const { return key_; }

  private:
    [[nodiscard]] bool challenged() const { return have_ >= kChallengeSize; }
    Secret secret_;
    std::array<std::byte, kHelloSize> out_{};
    std::array<std::byte, kChallengeSize + kAnswerSize> in_{};
    std::size_t have_ = 0;
    bool refused_ = false;
    SessionKey key_{};
};

}  // namespace weft::live::net
