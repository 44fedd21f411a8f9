#pragma once
// Memory that ranks of one host read in place: what lies in a block of a SharedHeap, and is
// registered with an endpoint that knows the heap, is not copied on its way. One memfd a block;
// peers map it, read-only, when the first message shows them something in it.
// Thread-safe; one heap may serve any number of endpoints, and outlives them. Leaves out: small
// objects (a block is at least a page).
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "collectives/transport/shm/mapping.hpp"

namespace weft::live {

class SharedHeap {
  public:
    [[nodiscard]] Outcome<std::span<std::byte>> allocate(std::size_t size);
    /// What allocate() gave. Peers that have mapped it let go of it at the next message that shows
    /// them another block, or when they end.
    void free(std::byte* memory);

    struct Place {
        std::uint32_t block = 0;
        std::uint64_t offset = 0;
    };
    /// The block that holds the whole range, if one does.
    [[nodiscard]] std::optional<Place> find(std::span<const std::byte> memory) const;
    /// Rises when a block is freed.
    [[nodiscard]] std::uint64_t freed() const;
    /// A block's file, which stays its owner's, and its size; -1 when there is no such block.
    struct Block {
        int file = -1;
        std::size_t size = 0;
    };
    [[nodiscard]] Block block(std::uint32_t id) const;

  private:
    struct Entry {
        std::uint32_t id = 0;
        shm::Mapping mapping;
    };
    mutable std::mutex mutex_;
    std::map<const std::byte*, Entry> blocks_;  // by where they begin
    std::uint32_t next_id_ = 1;
    std::uint64_t freed_ = 0;
};

}  // namespace weft::live
