#pragma once
// Bounce buffers for views and for messages that come before they are asked for: power-of-two
// sizes, kept for the next use up to a limit, aligned to a cache line.
#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace weft::live::tcp {

class Pool {
  public:
    struct Free {
        void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
    };
    struct Buffer {
        std::unique_ptr<std::byte, Free> data;
        unsigned order = 0;  // 2^order bytes
    };

    [[nodiscard]] Buffer take(std::size_t size) {
        const unsigned order = size <= (std::size_t{1} << kSmallest)
                                   ? kSmallest
                                   : static_cast<unsigned>(std::bit_width(size - 1));
        auto& shelf = shelves_[order];
        if (shelf.empty()) {
            auto* fresh = static_cast<std::byte*>(
                ::operator new[](std::size_t{1} << order, std::align_val_t{64}));
            return {std::unique_ptr<std::byte, Free>(fresh), order};
        }
        Buffer b = std::move(shelf.back());
        shelf.pop_back();
        kept_ -= std::size_t{1} << order;
        return b;
    }
    void give(Buffer b) {
        if (b.data == nullptr) return;
        const std::size_t size = std::size_t{1} << b.order;
        if (kept_ + size > kMostKept) return;
        kept_ += size;
        shelves_[b.order].push_back(std::move(b));
    }

  private:
    static constexpr unsigned kSmallest = 8;
    static constexpr std::size_t kMostKept = std::size_t{64} << 20;
    std::array<std::vector<Buffer>, 64> shelves_;
    std::size_t kept_ = 0;
};

}  // namespace weft::live::tcp
