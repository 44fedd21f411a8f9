#pragma once
// Bytes of messages, little endian, bounded. A Reader never reads past its span: what is missing
// reads as zero and ok() says so, hence parsers read all fields first and ask once at the end.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::live::net {

using ByteSpan = std::span<const std::byte>;

class Writer {
  public:
    void u8(std::uint8_t v) { put(v, 1); }
    void u16(std::uint16_t v) { put(v, 2); }
    void u32(std::uint32_t v) { put(v, 4); }
    void u64(std::uint64_t v) { put(v, 8); }
    void raw(ByteSpan bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    /// Length first; cut to what the length can say.
    void text(std::string_view t) {
        t = t.substr(0, 0xffff);
        u16(static_cast<std::uint16_t>(t.size()));
        raw(std::as_bytes(std::span(t.data(), t.size())));
    }
    void block(ByteSpan bytes) {
        u32(static_cast<std::uint32_t>(bytes.size()));
        raw(bytes);
    }
    [[nodiscard]] std::size_t size() const { return out_.size(); }
    [[nodiscard]] const std::vector<std::byte>& bytes() const { return out_; }
    [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }

  private:
    void put(std::uint64_t v, int size) {
        for (int i = 0; i < size; ++i)
            out_.push_back(static_cast<std::byte>((v >> (8 * i)) & 0xff));
    }
    std::vector<std::byte> out_;
};

class Reader {
  public:
    explicit Reader(ByteSpan in) : in_(in) {}
    std::uint8_t u8() { return static_cast<std::uint8_t>(get(1)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(get(2)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(get(4)); }
    std::uint64_t u64() { return get(8); }
    ByteSpan raw(std::size_t size) {
        if (size > in_.size()) return fail();
        const ByteSpan out = in_.first(size);
        in_ = in_.subspan(size);
        return out;
    }
    std::string text(std::size_t most = 0xffff) {
        const std::size_t size = u16();
        const ByteSpan b = size > most ? fail() : raw(size);
        return {reinterpret_cast<const char*>(b.data()), b.size()};
    }
    ByteSpan block() { return raw(u32()); }
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] std::size_t left() const { return in_.size(); }
    /// Everything was there, and nothing is left over.
    [[nodiscard]] bool done() const { return ok_ && in_.empty(); }
    ByteSpan fail() {
        ok_ = false;
        in_ = {};
        return {};
    }

  private:
    std::uint64_t get(std::size_t size) {
        const ByteSpan b = raw(size);
        std::uint64_t v = 0;
        for (std::size_t i = 0; i < b.size(); ++i)
            v |= std::to_integer<std::uint64_t>(b[i]) << (8 * i);
        return v;
    }
    ByteSpan in_;
    bool ok_ = true;
};

}  // namespace weft::live::net
