#pragma once
// All that an endpoint has of one connected peer: both directions of each lane, the receives that
// are posted, the messages that nobody has asked for, the blocks that either shares.
#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "collectives/transport/shm/meeting.hpp"
#include "collectives/transport/shm/receiver.hpp"
#include "collectives/transport/shm/sender.hpp"
#include "collectives/transport/shm/shared_heap.hpp"

namespace weft::live::shm {

struct PostedReceive {
    MessageKey key;
    std::optional<Segments> to;
    std::size_t size = 0;
};

/// A message in the books of one of the lanes.
struct GotRef {
    std::uint32_t lane = 0;
    std::uint64_t index = 0;
};

struct LinkLane {
    LinkLane(Sender sender, Receiver receiver) : tx(std::move(sender)), rx(std::move(receiver)) {}
    Sender tx;
    Receiver rx;
    std::uint32_t epoch = 0;  // odd: cut, as far as this side has noticed
    bool broken = false;      // the peer breaks the rules here, and that has been said
};

class Link final : private Receiver::Places {
  public:
    Link(Meeting meeting, std::uint32_t rank, std::uint32_t lanes, Arena& arena, BufferPool& pool,
         const SharedHeap* heap);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    [[nodiscard]] std::uint32_t peer() const { return met_.peer; }
    [[nodiscard]] const RankPage& page() const { return met_.page(); }
    /// Counts up when a lane is cut or mended.
    [[nodiscard]] std::uint32_t& epoch(std::uint32_t lane) { return pair().epoch[lane]; }
    /// Wakes the peer if it sleeps, once.
    void ring();
    [[nodiscard]] bool hung_up() const { return shm::hung_up(met_.socket.get()); }
    /// What the peer says about an operation of its own; absent when it has been overwritten.
    [[nodiscard]] std::optional<OperationHead> head(ContextId context,
                                                    std::uint64_t operation) const;

    /// Makes sure that the peer can map the block. False: it must be copied.
    [[nodiscard]] bool show(std::uint32_t block);
    /// The peer's plain memory, where it can be read.
    [[nodiscard]] const RemoteMemory* memory() const {
        return met_.memory ? &met_.memory : nullptr;
    }
    /// The peer reads this rank's plain memory.
    [[nodiscard]] bool is_read() { return peek(pair().can_read[read_by_]) != 0; }

    std::vector<LinkLane> lanes;
    bool unsettled = false;             // told something, and perhaps not woken
    std::vector<PostedReceive> posted;  // in the order in which they are wanted
    std::vector<GotRef> waiting;        // arrived, and nobody has asked
    std::vector<GotRef> filling;        // asked for, and not complete

  private:
    struct Block {
        std::uint32_t id = 0;
        Mapping memory;
    };
    [[nodiscard]] PairPage& pair() { return *reinterpret_cast<PairPage*>(met_.pair.data()); }
    [[nodiscard]] const std::byte* find(std::uint32_t block, std::uint64_t offset,
                                        std::uint64_t size) override;
    [[nodiscard]] RemoteMemory::Read read(std::uint64_t address, std::span<std::byte> to) override {
        return met_.memory ? met_.memory.read(address, to) : RemoteMemory::Read::kRefused;
    }
    void read_blocks();

    Meeting met_;
    const SharedHeap* heap_;
    std::uint32_t rung_ = 0;            // the sleep that the peer has been woken from
    std::vector<std::uint32_t> shown_;  // own blocks that the peer has been given
    std::uint64_t freed_seen_ = 0;
    std::vector<Block> blocks_;  // the peer's
    std::size_t read_by_;        // the peer's word of PairPage::can_read
};

}  // namespace weft::live::shm
