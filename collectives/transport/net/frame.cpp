#include "collectives/transport/net/frame.hpp"

#include <sodium.h>

#include "base/check.hpp"

namespace weft::live::net {

namespace {

using Tag = std::array<std::byte, 16>;

Tag tag_of(const SessionKey& key, Side side, std::uint64_t number, ByteSpan size_and_payload) {
    std::array<unsigned char, 9> head{static_cast<unsigned char>(side)};
    for (std::size_t i = 0; i < 8; ++i)
        head[i + 1] = static_cast<unsigned char>((number >> (8 * i)) & 0xff);
    Tag out;
    crypto_generichash_state state;
    crypto_generichash_init(&state, reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                            out.size());
    crypto_generichash_update(&state, head.data(), head.size());
    crypto_generichash_update(&state,
                              reinterpret_cast<const unsigned char*>(size_and_payload.data()),
                              size_and_payload.size());
    crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), out.size());
    return out;
}

}  // namespace

void FrameWriter::write(ByteSpan payload, std::vector<std::byte>& out) {
    WEFT_CHECK(payload.size() <= kMaxPayload, "a frame of {} bytes", payload.size());
    const std::size_t start = out.size();
    Writer w;
    w.u32(static_cast<std::uint32_t>(payload.size()));
    out.insert(out.end(), w.bytes().begin(), w.bytes().end());
    out.insert(out.end(), payload.begin(), payload.end());
    const Tag tag = tag_of(key_, side_, next_++, ByteSpan(out).subspan(start));
    out.insert(out.end(), tag.begin(), tag.end());
}

void FrameReader::feed(ByteSpan bytes) {
    if (broken_) return;
    if (begin_ > 0) {
        in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(begin_));
        begin_ = 0;
    }
    in_.insert(in_.end(), bytes.begin(), bytes.end());
}

std::optional<ByteSpan> FrameReader::next() {
    const ByteSpan in = ByteSpan(in_).subspan(begin_);
    if (broken_ || in.size() < 4) return std::nullopt;
    const std::size_t size = Reader(in).u32();
    if (size > kMaxPayload) {
        broken_ = true;
        return std::nullopt;
    }
    if (in.size() < size + kFrameOverhead) return std::nullopt;
    const Tag tag = tag_of(key_, side_, next_++, in.first(4 + size));
    if (sodium_memcmp(tag.data(), in.data() + 4 + size, tag.size()) != 0) {
        broken_ = true;
        return std::nullopt;
    }
    begin_ += size + kFrameOverhead;
    return in.subspan(4, size);
}

}  // namespace weft::live::net
