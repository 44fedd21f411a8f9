#include "collectives/api/direct.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "collectives/runtime/kernels.hpp"
#include "collectives/transport/shm/remote_memory.hpp"
#include "collectives/transport/shm/shm.hpp"

namespace weft::live {

namespace {

// Below this the kernel's work for each page costs more than a second copy in the caches.
constexpr std::size_t kBlockFrom = 32 * 1024;

std::size_t block_bytes(const CollectiveCall& call) {
    return call.count * size_of(call.dtype);
}

bool disjoint(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes) {
    const auto x = reinterpret_cast<std::uintptr_t>(a);
    const auto y = reinterpret_cast<std::uintptr_t>(b);
    return x + a_bytes <= y || y + b_bytes <= x;
}

}  // namespace

DirectReads::DirectReads(ShmEndpoint& endpoint, std::uint32_t rank,
                         std::vector<std::uint32_t> members)
    : endpoint_(endpoint), rank_(rank), members_(std::move(members)), heard_(members_.size()) {}

bool DirectReads::pays(const CollectiveCall& call, std::uint32_t ranks) {
    switch (call.collective) {
        case Collective::kAllGather:
        case Collective::kAllToAll:
            return block_bytes(call) >= kBlockFrom;
        case Collective::kBroadcast:
            // More receivers take what the root shows out of the cache in turns with its showing.
            return ranks == 2 && block_bytes(call) >= kBlockFrom;
        default:
            return false;
    }
}

DirectReads::Word DirectReads::offer(const CollectiveCall& call) const {
    for (std::uint32_t m = 0; m < members_.size(); ++m)
        if (m != rank_ && endpoint_.memory_of(members_[m]) == nullptr) return {Says::kNever};
    const Word ready{Says::kReady, reinterpret_cast<std::uintptr_t>(call.input)};
    const std::size_t block = block_bytes(call);
    const std::size_t all = block * members_.size();
    const auto* own = static_cast<const std::byte*>(call.output) + rank_ * block;
    switch (call.collective) {
        case Collective::kAllGather:
            if (call.input == own || disjoint(call.input, block, call.output, all)) return ready;
            break;
        case Collective::kAllToAll:
            if (disjoint(call.input, all, call.output, all)) return ready;
            break;
        case Collective::kBroadcast:
            if (rank_ != call.root || call.input == call.output ||
                disjoint(call.input, block, call.output, block))
                return ready;
            break;
        default:
            break;
    }
    return {Says::kNotNow};
}

Status DirectReads::hear(std::span<const std::span<const std::byte>> said) {
    for (std::uint32_t m = 0; m < members_.size(); ++m) {
        if (said[m].size() != sizeof(Word))
            return LiveError{.what = "nonsense in shared memory",
                             .peer = static_cast<int>(members_[m])};
        std::memcpy(&heard_[m], said[m].data(), sizeof(Word));
    }
    return Done{};
}

bool DirectReads::somebody(Says says) const {
    return std::any_of(heard_.begin(), heard_.end(), [&](const Word& w) { return w.says == says; });
}

bool DirectReads::all_say(Says says) const {
    return std::all_of(heard_.begin(), heard_.end(), [&](const Word& w) { return w.says == says; });
}

void DirectReads::keep_own(const CollectiveCall& call) const {
    const std::size_t block = block_bytes(call);
    const auto* from = static_cast<const std::byte*>(call.input);
    auto* to = static_cast<std::byte*>(call.output);
    if (call.collective == Collective::kAllToAll) from += rank_ * block;
    if (call.collective == Collective::kBroadcast) {
        if (rank_ != call.root) return;
    } else {
        to += rank_ * block;
    }
    if (from == to) return;
    if (block >= kStreamedBytes)
        copy_past(from, to, block);
    else
        std::memcpy(to, from, block);
}

DirectReads::Word DirectReads::read(const CollectiveCall& call) const {
    const std::size_t block = block_bytes(call);
    auto* out = static_cast<std::byte*>(call.output);
    const auto n = static_cast<std::uint32_t>(members_.size());
    keep_own(call);
    // Each begins at another, so that not all wait for one process's pages.
    for (std::uint32_t i = 1; i < n; ++i) {
        const std::uint32_t m = (rank_ + i) % n;
        if (!reads_from(call, m)) continue;
        const std::uint64_t at = call.collective == Collective::kAllToAll ? rank_ * block : 0;
        std::byte* to = call.collective == Collective::kBroadcast ? out : out + m * block;
        // A process that has ended says no more, and waiting for it finds that out.
        if (endpoint_.memory_of(members_[m])->read(heard_[m].address + at, {to, block}) !=
            shm::RemoteMemory::Read::kDone)
            return {Says::kNever};
    }
    return {Says::kHaveRead};
}

}  // namespace weft::live
