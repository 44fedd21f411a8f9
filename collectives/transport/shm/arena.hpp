#pragma once
// The part of a rank's segment that its payload goes out through: chunks of two sizes, handed out
// last in first out, so that the chunks in use stay in the cache. Only the owner writes it and only
// the owner's process keeps the books. A message that no peer has asked for leaves room for those
// that have been asked for, and those leave some for messages that are taken piece by piece: these
// always get on.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/check.hpp"
#include "collectives/transport/shm/layout.hpp"

namespace weft::live::shm {

/// Who asks for a chunk, least entitled first.
enum class Claim : std::uint8_t { kUnasked, kShown, kPieces };

class Arena {
  public:
    /// An eighth of the memory for small chunks, the rest for large ones.
    Arena(std::byte* at, std::size_t bytes) : at_(at) {
        const auto small = static_cast<std::uint32_t>(bytes / 8 / kSmallChunk);
        const auto large = static_cast<std::uint32_t>((bytes - small * kSmallChunk) / kLargeChunk);
        WEFT_CHECK(small >= 8 && large >= 8 && bytes / kPage <= kPagesMost,
                   "an arena of {} bytes, which is not in 1 MiB .. 256 MiB", bytes);
        constexpr std::uint32_t kStride = kLargeChunk / kPage;
        for (std::uint32_t i = large; i-- > 0;) large_.free.push_back(page(i * kStride));
        for (std::uint32_t i = small; i-- > 0;) small_.free.push_back(page(large * kStride + i));
        large_.total = large;
        small_.total = small;
    }
    /// The page that the chunk begins at.
    [[nodiscard]] std::optional<std::uint16_t> take(std::size_t chunk, Claim claim) {
        Pool& p = pool(chunk);
        const std::size_t kept = claim == Claim::kUnasked ? p.total / 2
                                 : claim == Claim::kShown ? p.total / 8
                                                          : 0;
        if (p.free.size() <= kept) return std::nullopt;
        const std::uint16_t page = p.free.back();
        p.free.pop_back();
        return page;
    }
    void give(std::uint16_t page, std::size_t chunk) {
        pool(chunk).free.push_back(page);
        ++given_;
    }
    [[nodiscard]] std::byte* at(std::uint16_t page) const { return at_ + page * kPage; }
    /// How many chunks have come back: whoever got none tries again when this has changed.
    [[nodiscard]] std::uint64_t given() const { return given_; }
    [[nodiscard]] bool all_free() const {
        return small_.free.size() == small_.total && large_.free.size() == large_.total;
    }

  private:
    static constexpr std::size_t kPagesMost = 65'536;
    static std::uint16_t page(std::uint32_t number) { return static_cast<std::uint16_t>(number); }
    struct Pool {
        std::vector<std::uint16_t> free;
        std::size_t total = 0;
    };
    Pool& pool(std::size_t chunk) { return chunk == kSmallChunk ? small_ : large_; }
    std::byte* at_;
    Pool small_;
    Pool large_;
    std::uint64_t given_ = 0;
};

}  // namespace weft::live::shm
