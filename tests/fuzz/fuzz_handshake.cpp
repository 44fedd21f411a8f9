// Whatever bytes come, in whatever pieces: neither side of a handshake proves anything, and neither
// reads past what it wants. The first byte says how the rest is cut.
#include <algorithm>
#include <cstdint>

#include "base/check.hpp"
#include "collectives/transport/net/handshake.hpp"

namespace {

using namespace weft::live;
using namespace weft::live::net;

template <class Side>
void try_side(Side& side, ByteSpan bytes, std::size_t piece) {
    Handshake state = Handshake::kWaiting;
    while (!bytes.empty()) {
        const std::size_t size = std::min(piece, bytes.size());
        const Handshake next = side.take(bytes.first(size));
        WEFT_CHECK(next != Handshake::kProved, "a stranger proved something");
        WEFT_CHECK(state != Handshake::kRefused || next == state, "a refusal is final");
        state = next;
        bytes = bytes.subspan(size);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Secret secret = fresh_nonce();
    const ByteSpan bytes = std::as_bytes(std::span(data + 1, size - 1));
    const std::size_t piece = data[0] == 0 ? 1 : data[0];
    ListeningSide listening(secret, fresh_nonce());
    try_side(listening, bytes, piece);
    CallingSide calling(secret, fresh_nonce(), Hello{.caller = 1, .callee = 2});
    try_side(calling, bytes, piece);
    return 0;
}
