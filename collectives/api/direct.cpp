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
        case Collective::kGather:
        case Collective::kScatter:
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
    const auto* sent = static_cast<const std::byte*>(call.input) + rank_ * block;
    switch (call.collective) {
        case Collective::kAllGather:
            if (call.input == own || disjoint(call.input, block, call.output, all)) return ready;
            break;
        case Collective::kAllToAll:
            if (disjoint(call.input, all, call.output, all)) return ready;
            break;
        case Collective::kGather:
            if (rank_ != call.root || call.input == own ||
                disjoint(call.input, block, call.output, all))
                return ready;
            break;
        case Collective::kScatter:
            if (rank_ != call.root || call.output == sent ||
                disjoint(call.input, all, call.output, block))
                return ready;
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

bool DirectReads::reads_from(const CollectiveCall& call, std::uint32_t member) const {
    if (member == rank_) return false;
    switch (call.collective) {
        case Collective::kBroadcast:
        case Collective::kScatter:
            return member == call.root;
        case Collective::kGather:
            return rank_ == call.root;
        default:
            return true;
    }
}

DirectReads::Way DirectReads::way(const CollectiveCall& call, std::uint32_t member) const {
    const std::size_t block = block_bytes(call);
    const Collective c = call.collective;
    const bool blocks_out = c == Collective::kAllToAll || c == Collective::kScatter;
    const bool blocks_in = c != Collective::kBroadcast && c != Collective::kScatter;
    return {.from = blocks_out ? rank_ * block : 0, .to = blocks_in ? member * block : 0};
}

void DirectReads::keep_own(const CollectiveCall& call) const {
    const std::size_t block = block_bytes(call);
    if (rooted(call.collective) && rank_ != call.root) return;
    const Way w = way(call, rank_);
    const auto* from = static_cast<const std::byte*>(call.input) + w.from;
    auto* to = static_cast<std::byte*>(call.output) + w.to;
    if (from == to) return;
    if (block >= kStreamedBytes)
        copy_past(from, to, block);
    else
        std::memcpy(to, from, block);
}

DirectReads::Word DirectReads::read(const CollectiveCall& call) const {
    const auto n = static_cast<std::uint32_t>(members_.size());
    keep_own(call);
    // Each begins at another, so that not all wait for one process's pages.
    for (std::uint32_t i = 1; i < n; ++i) {
        const std::uint32_t m = (rank_ + i) % n;
        if (!reads_from(call, m)) continue;
        const Way w = way(call, m);
        const std::span to(static_cast<std::byte*>(call.output) + w.to, block_bytes(call));
        // A process that has ended says no more, and waiting for it finds that out.
        if (endpoint_.memory_of(members_[m])->read(heard_[m].address + w.from, to) !=
            shm::RemoteMemory::Read::kDone)
            return {Says::kNever};
    }
    return {Says::kHaveRead};
}

}  // namespace weft::live
