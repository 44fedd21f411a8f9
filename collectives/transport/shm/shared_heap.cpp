#include "collectives/transport/shm/shared_heap.hpp"

#include "collectives/transport/shm/layout.hpp"

namespace weft::live {

Outcome<std::span<std::byte>> SharedHeap::allocate(std::size_t size) {
    const std::size_t whole = std::max<std::size_t>(1, (size + shm::kPage - 1) / shm::kPage);
    auto made = shm::Mapping::create(whole * shm::kPage, shm::Access::kRead);
    if (!made.ok()) return made.error();
    std::byte* const at = made.value().data();
    const std::lock_guard lock(mutex_);
    blocks_.emplace(at, Entry{next_id_++, std::move(made.value())});
    return std::span<std::byte>(at, size);
}

void SharedHeap::free(std::byte* memory) {
    const std::lock_guard lock(mutex_);
    WEFT_CHECK(blocks_.erase(memory) == 1, "memory that this heap has not given out");
    ++freed_;
}

std::optional<SharedHeap::Place> SharedHeap::find(std::span<const std::byte> memory) const {
    const std::lock_guard lock(mutex_);
    auto after = blocks_.upper_bound(memory.data());
    if (after == blocks_.begin()) return std::nullopt;
    const auto& [begin, entry] = *--after;
    const auto offset = static_cast<std::size_t>(memory.data() - begin);
    if (offset > entry.mapping.size() || memory.size() > entry.mapping.size() - offset)
        return std::nullopt;
    return Place{entry.id, offset};
}

std::uint64_t SharedHeap::freed() const {
    const std::lock_guard lock(mutex_);
    return freed_;
}

SharedHeap::Block SharedHeap::block(std::uint32_t id) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [begin, entry] : blocks_)
        if (entry.id == id) return {entry.mapping.file(), entry.mapping.size()};
    return {};
}

}  // namespace weft::live
