#include "collectives/transport/shm/link.hpp"

#include <cstring>
#include <unistd.h>

namespace weft::live::shm {

namespace {

constexpr std::size_t kBlocksMost = 1024;
constexpr std::uint64_t kBlockMost = std::uint64_t{1} << 46;

/// Travels over the socket, with the block's file when it is shown.
struct BlockMessage {
    std::uint32_t magic = kMagic;
    std::uint32_t shown = 0;  // 0: it has been freed
    std::uint64_t id = 0;
    std::uint64_t size = 0;
};

std::array<std::byte, sizeof(BlockMessage)> bytes_of(const BlockMessage& m) {
    std::array<std::byte, sizeof(BlockMessage)> bytes;
    std::memcpy(bytes.data(), &m, sizeof m);
    return bytes;
}

}  // namespace

Link::Link(Meeting meeting, std::uint32_t rank, std::uint32_t lane_count, Arena& arena,
           BufferPool& pool, const SharedHeap* heap)
    : met_(std::move(meeting)), heap_(heap), read_by_(met_.peer < rank ? 0 : 1) {
    auto* halves = reinterpret_cast<Half*>(met_.pair.data() + kPage);
    lanes.reserve(lane_count);
    const std::size_t out = rank < met_.peer ? 0 : 1;
    for (std::uint32_t lane = 0; lane < lane_count; ++lane)
        lanes.emplace_back(
            Sender(halves[2 * lane + out], arena, lane_count > 1),
            Receiver(halves[2 * lane + 1 - out], met_.arena(), *this, pool, lane_count > 1));
}

void Link::ring() {
    const std::uint32_t sleep = peek(met_.page().sleep);
    if (sleep % 2 == 0 || sleep == rung_) return;
    rung_ = sleep;
    const std::uint64_t one = 1;
    (void)!::write(met_.bell.get(), &one, sizeof one);
}

std::optional<OperationHead> Link::head(ContextId context, std::uint64_t operation) const {
    const RankPage::Head& row = page().heads[operation % RankPage::kHeads];
    const std::uint64_t version = load(row.version);
    OperationHead h;
    h.operation = load(row.operation);
    h.plan_hash = load(row.plan_hash);
    h.count = load(row.count);
    h.context = load(row.context);
    h.root = load(row.root);
    const std::uint64_t kinds = load(row.kinds);
    h.collective = static_cast<std::uint8_t>(kinds);
    h.dtype = static_cast<std::uint8_t>(kinds >> 8);
    h.reduction = static_cast<std::uint8_t>(kinds >> 16);
    h.reserved = static_cast<std::uint8_t>(kinds >> 24);
    if (load(row.version) != version || version % 2 != 0) return std::nullopt;
    if (h.operation != operation || h.context != context) return std::nullopt;
    return h;
}

bool Link::show(std::uint32_t block) {
    if (std::find(shown_.begin(), shown_.end(), block) != shown_.end()) return true;
    const std::uint64_t freed = heap_->freed();
    if (freed != freed_seen_) {
        for (auto& id : shown_)
            if (heap_->block(id).file < 0 &&
                send_files(met_.socket.get(), bytes_of({.id = id}), {}))
                id = 0;
        shown_.erase(std::remove(shown_.begin(), shown_.end(), 0u), shown_.end());
        freed_seen_ = freed;
    }
    if (shown_.size() >= kBlocksMost) return false;
    const SharedHeap::Block b = heap_->block(block);
    if (b.file < 0) return false;
    BlockMessage m;
    m.shown = 1;
    m.id = block;
    m.size = b.size;
    const std::array file{b.file};
    if (!send_files(met_.socket.get(), bytes_of(m), file)) return false;
    shown_.push_back(block);
    return true;
}

void Link::read_blocks() {
    while (true) {
        std::array<std::byte, sizeof(BlockMessage)> bytes;
        std::array<File, 1> file;
        if (receive_files(met_.socket.get(), bytes, file) != Came::kMessage) return;
        BlockMessage m;
        std::memcpy(&m, bytes.data(), sizeof m);
        if (m.magic != kMagic) return;
        const auto same = [&](const Block& b) { return b.id == m.id; };
        blocks_.erase(std::remove_if(blocks_.begin(), blocks_.end(), same), blocks_.end());
        if (m.shown == 0 || !file[0] || m.size > kBlockMost) continue;
        if (blocks_.size() >= kBlocksMost) continue;
        auto opened = Mapping::open(std::move(file[0]), m.size, Access::kRead);
        if (opened.ok())
            blocks_.push_back({static_cast<std::uint32_t>(m.id), std::move(opened.value())});
    }
}

const std::byte* Link::find(std::uint32_t block, std::uint64_t offset, std::uint64_t size) {
    const auto known = [&] {
        return std::find_if(blocks_.begin(), blocks_.end(),
                            [&](const Block& b) { return b.id == block; });
    };
    auto found = known();
    if (found == blocks_.end()) {
        read_blocks();
        found = known();
        if (found == blocks_.end()) return nullptr;
    }
    const std::size_t whole = found->memory.size();
    if (offset > whole || size > whole - offset) return nullptr;
    return found->memory.data() + offset;
}

}  // namespace weft::live::shm
