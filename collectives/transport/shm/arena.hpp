#pragma once
// The part of a rank's segment that its payload goes out through: chunks of two
// sizes. Chunks are used in turn, and no more of them than it takes to let each
// rest for half a megabyte: writing what the peer has just read costs twice as
// much (12.8 and 21.9 GB/s on two cores of a Sapphire Rapids), and what is left
// of the arena stays out of the cache. Only the owner's process keeps the
// books. A message that no peer has asked for leaves room for those that have
// been asked for, and those leave some for messages that are taken piece by
// piece: these always get on.
#include <cstddef>
#include <cstdint>
#include <deque>
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
        for (std::uint32_t i = large; i-- > 0;) large_.unused.push_back(page(i * kStride));
        for (std::uint32_t i = small; i-- > 0;) small_.unused.push_back(page(large * kStride + i));
        large_.total = large;
        small_.total = small;
    }
    /// The page that the chunk begins at.
    [[nodiscard]] std::optional<std::uint16_t> take(std::size_t chunk, Claim claim) {
        Pool& p = pool(chunk);
        const std::size_t kept = claim == Claim::kUnasked ? p.total / 2
                                 : claim == Claim::kShown ? p.total / 8
                                                          : 0;
        if (p.free() <= kept) return std::nullopt;
        if (p.rested.size() < kRest && !p.unused.empty()) {
            const std::uint16_t page = p.unused.back();
            p.unused.pop_back();
            return page;
        }
        const std::uint16_t page = p.rested.front();
        p.rested.pop_front();
        return page;
    }
    void give(std::uint16_t page, std::size_t chunk) {
        pool(chunk).rested.push_back(page);
        ++given_;
    }
    [[nodiscard]] std::byte* at(std::uint16_t page) const { return at_ + page * kPage; }
    /// How many chunks have come back: whoever got none tries again when this has changed.
    [[nodiscard]] std::uint64_t given() const { return given_; }
    [[nodiscard]] bool all_free() const {
        return small_.free() == small_.total && large_.free() == large_.total;
    }

  private:
    static constexpr std::size_t kRest = 8;  // chunks
    static constexpr std::size_t kPagesMost = 65'536;
    static std::uint16_t page(std::uint32_t number) { return static_cast<std::uint16_t>(number); }
    struct Pool {
        std::vector<std::uint16_t> unused;
        std::deque<std::uint16_t> rested;  // the longest first
        [[nodiscard]] std::size_t free() const { return unused.size() + rested.size(); }
        std::size_t total = 0;
    };
    Pool& pool(std::size_t chunk) { return chunk == kSmallChunk ? small_ : large_; }
    std::byte* at_;
    Pool small_;
    Pool large_;
    std::uint64_t given_ = 0;
};

}  // namespace weft::live::shm
