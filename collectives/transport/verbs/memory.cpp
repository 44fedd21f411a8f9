#include "collectives/transport/verbs/memory.hpp"

#include <bit>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/resource.h>

namespace weft::live::verbs {

namespace {
constexpr unsigned kSmallest = 12;  // a page: nothing smaller is worth a registration
constexpr std::size_t kMostKept = std::size_t{64} << 20;
constexpr int kAccess = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
}  // namespace

std::uint64_t memlock_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::string registration_failed(std::size_t bytes, int error_number, std::uint64_t limit) {
    if ((error_number == ENOMEM || error_number == EPERM || error_number == EAGAIN) &&
        limit != RLIM_INFINITY)
        return fmt::format(
            "RDMA cannot lock {} bytes of memory: this process may lock {} in all (ulimit -l {}); "
            "raise the limit, or choose another transport",
            bytes, limit, limit / 1024);
    return fmt::format("RDMA cannot register {} bytes of memory: {}", bytes,
                       std::strerror(error_number));
}

Memory::~Memory() {
    for (auto& region : regions_)
        if (region) forget(*region);
}

void Memory::forget(Region& region) {
    for (ibv_mr* key : region.keys)
        if (key != nullptr) api_.dereg_mr(key);
    region.keys.clear();
}

std::uint32_t Memory::add(std::span<std::byte> memory) {
    std::uint32_t index = 0;
    if (free_.empty()) {
        index = static_cast<std::uint32_t>(regions_.size());
        regions_.emplace_back();
    } else {
        index = free_.back();
        free_.pop_back();
    }
    regions_[index].emplace();
    regions_[index]->memory = memory;
    regions_[index]->keys.resize(domains_.size());
    return index;
}

void Memory::remove(std::uint32_t region) {
    WEFT_CHECK(region < regions_.size() && regions_[region], "region {} is not registered", region);
    forget(*regions_[region]);
    regions_[region].reset();
    free_.push_back(region);
}

bool Memory::contains(std::uint32_t region, const std::byte* data, std::size_t size) const {
    if (region >= regions_.size() || !regions_[region]) return false;
    const std::span<std::byte> all = regions_[region]->memory;
    return data >= all.data() && data + size <= all.data() + all.size();
}

const ibv_mr* Memory::known_to(std::size_t device, std::uint32_t region) {
    Region& r = *regions_[region];
    if (r.keys[device] == nullptr) {
        r.keys[device] = api_.reg_mr(domains_[device], r.memory, kAccess);
        if (r.keys[device] == nullptr)
            error_ = registration_failed(r.memory.size(), errno, memlock_limit());
    }
    return r.keys[device];
}

Memory::Bounce Memory::take(std::size_t size) {
    const unsigned order = size <= (std::size_t{1} << kSmallest)
                               ? kSmallest
                               : static_cast<unsigned>(std::bit_width(size - 1));
    auto& shelf = shelves_[order];
    if (!shelf.empty()) {
        const Bounce b = shelf.back();
        shelf.pop_back();
        kept_ -= std::size_t{1} << order;
        return b;
    }
    const std::size_t whole = std::size_t{1} << order;
    std::unique_ptr<std::byte, Free> fresh(
        static_cast<std::byte*>(::operator new[](whole, std::align_val_t{4096})));
    std::byte* data = fresh.get();
    const std::uint32_t region = add({data, whole});
    regions_[region]->owned = std::move(fresh);
    return {.data = data, .region = region, .order = order};
}

void Memory::give(Bounce& bounce) {
    if (bounce.data == nullptr) return;
    const std::size_t size = std::size_t{1} << bounce.order;
    if (kept_ + size > kMostKept) {
        remove(bounce.region);
    } else {
        kept_ += size;
        shelves_[bounce.order].push_back(bounce);
    }
    bounce = {};
}

}  // namespace weft::live::verbs
