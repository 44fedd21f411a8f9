#pragma once
// A place in a list of segments, from which bytes are sent or at which they land.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <sys/uio.h>

#include "collectives/transport/message.hpp"

namespace weft::live::tcp {

class SegmentCursor {
  public:
    SegmentCursor() = default;
    explicit SegmentCursor(Segments segments) : segments_(segments) {}

    /// The next pieces, up to `most` bytes of them, without moving on.
    [[nodiscard]] std::size_t pieces(std::span<iovec> out, std::size_t most) const {
        std::size_t used = 0;
        std::size_t at = at_;
        for (std::size_t i = index_; i < segments_.size() && used < out.size() && most > 0; ++i) {
            const std::size_t size = std::min(segments_[i].size - at, most);
            if (size > 0) out[used++] = {segments_[i].data + at, size};
            most -= size;
            at = 0;
        }
        return used;
    }
    void advance(std::size_t bytes) {
        while (bytes > 0 && index_ < segments_.size()) {
            const std::size_t step = std::min(bytes, segments_[index_].size - at_);
            bytes -= step;
            at_ += step;
            if (at_ < segments_[index_].size) return;
            ++index_;
            at_ = 0;
        }
    }
    /// Copies from here on and moves on.
    void read(std::span<std::byte> out) {
        each(out.size(), [&](std::span<std::byte> piece, std::size_t done) {
            std::memcpy(out.data() + done, piece.data(), piece.size());
        });
    }
    void write(std::span<const std::byte> in) {
        each(in.size(), [&](std::span<std::byte> piece, std::size_t done) {
            std::memcpy(piece.data(), in.data() + done, piece.size());
        });
    }
    /// Calls use(piece, bytes before it) for the next `bytes` bytes and moves on.
    template <class Use>
    void each(std::size_t bytes, Use use) {
        for (std::size_t done = 0; done < bytes;) {
            std::array<iovec, 8> some;
            const std::size_t n = pieces(some, bytes - done);
            if (n == 0) return;
            for (std::size_t i = 0; i < n; ++i) {
                use(std::span(static_cast<std::byte*>(some[i].iov_base), some[i].iov_len), done);
                done += some[i].iov_len;
                advance(some[i].iov_len);
            }
        }
    }

  private:
    Segments segments_;
    std::size_t index_ = 0;
    std::size_t at_ = 0;
};

}  // namespace weft::live::tcp
