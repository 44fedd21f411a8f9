#pragma once
// Frames on an authenticated connection: [payload size u32][payload][tag 16]. The tag is BLAKE2b,
// keyed with the session key, over (direction, number of the frame, size, payload), so that nobody
// on the path can change, drop within, repeat or reflect a frame unnoticed. For control messages
// only: data has its own format. Leaves out: secrecy.
#include <cstdint>
#include <optional>
#include <vector>

#include "collectives/transport/net/handshake.hpp"

namespace weft::live::net {

constexpr std::size_t kMaxPayload = 72 << 10;
constexpr std::size_t kFrameOverhead = 4 + 16;

/// Whether this rank called or was called: the two directions have different tags.
enum class Side : std::uint8_t { kCaller, kCallee };

class FrameWriter {
  public:
    FrameWriter(const SessionKey& key, Side mine) : key_(key), side_(mine) {}
    /// Appends one frame to `out`.
    void write(ByteSpan payload, std::vector<std::byte>& out);

  private:
    SessionKey key_;
    Side side_;
    std::uint64_t next_ = 0;
};

/// Takes bytes as they come and gives payloads. After the first wrong byte nothing comes any more.
class FrameReader {
  public:
    FrameReader(const SessionKey& key, Side mine)
        : key_(key), side_(mine == Side::kCaller ? Side::kCallee : Side::kCaller) {}
    void feed(ByteSpan bytes);
    /// The next payload, valid until the next call of any function here.
    [[nodiscard]] std::optional<ByteSpan> next();
    [[nodiscard]] bool broken() const { return broken_; }

  private:
    SessionKey key_;
    Side side_;
    std::uint64_t next_ = 0;
    std::vector<std::byte> in_;
    std::size_t begin_ = 0;
    bool broken_ = false;
};

}  // namespace weft::live::net
