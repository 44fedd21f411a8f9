#pragma once
// Packet and its pool: what is in flight, in flat memory, linked by index.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <vector>

#include "base/units.hpp"

namespace weft::packet {

using PacketId = std::uint32_t;
inline constexpr std::uint32_t kNone = ~std::uint32_t{0};

enum class Kind : std::uint8_t { kData, kAck, kNack, kNotify, kPause, kCredit, kWant };

/// Classes of a port: control goes first.
inline constexpr std::uint8_t kControl = 0;
inline constexpr std::uint8_t kPayload = 1;
inline constexpr std::size_t kClasses = 2;

struct Packet {
    std::uint32_t next = kNone;  // in the queue or on the wire
    std::uint32_t flow = kNone;
    std::uint32_t route = 0;  // where the next link stands in the table of routes
    std::uint32_t seq = 0;    // which packet of the flow; of an ACK: all before it have arrived
    std::int64_t stamp = 0;   // when it left its sender; an ACK brings it back
    std::int64_t at = 0;  // on the wire: when the last bit of the one behind it is at the far end;
                          // in a switch: since when it is there
    std::uint32_t bytes = 0;  // on the wire
    // Of an ACK: bytes that arrived marked since the last one; of data: what its sender wants in
    // all; of a credit: what it may send.
    std::uint32_t marked = 0;
    std::uint32_t echo = 0;         // of an ACK: the packet that caused it
    std::uint32_t extra = kNone;    // what few packets carry
    std::uint32_t ingress = kNone;  // the link it came in by
    std::uint32_t row = kNone;      // of the forwarding table: the switches choose
    std::uint16_t entropy = 0;
    std::uint16_t in = 0;  // the port of its switch that it came in by, among all of them
    Kind kind = Kind::kData;
    std::uint8_t cls = kPayload;
    std::uint8_t hops = 0;
    bool congested : 1 = false;  // ECN
    bool trimmed : 1 = false;
    bool ask : 1 = false;      // for an answer at once: the last of its message, or of the window
    bool again : 1 = false;    // sent before
    bool lost : 1 = false;     // will not get to the end of this wire
    bool spoiled : 1 = false;  // its last receiver will throw it away
};
static_assert(sizeof(Packet) == 64, "one cache line");

/// In blocks that stay where they are: a reference lasts as long as its packet. A block is one page
/// of 2 MiB where the system has them: large networks touch more packets than small pages reach.
class Pool {
  public:
    PacketId take() {
        if (free_ == kNone) {
            if (size_ >> kBlockBits == blocks_.size()) blocks_.push_back(new_block());
            new (&(*this)[size_]) Packet;
            return size_++;
        }
        const PacketId id = free_;
        Packet& p = (*this)[id];
        free_ = p.next;
        p = Packet{};
        return id;
    }
    void give(PacketId id) {
        (*this)[id].next = free_;
        free_ = id;
    }
    Packet& operator[](PacketId id) { return blocks_[id >> kBlockBits][id & (kBlock - 1)]; }
    const Packet& operator[](PacketId id) const {
        return blocks_[id >> kBlockBits][id & (kBlock - 1)];
    }
    [[nodiscard]] std::size_t bytes() const { return blocks_.size() * kBlock * sizeof(Packet); }

  private:
    static constexpr std::uint32_t kBlockBits = 15;
    static constexpr std::uint32_t kBlock = 1U << kBlockBits;
    struct Free {
        void operator()(Packet* block) const { std::free(block); }
    };
    using Block = std::unique_ptr<Packet[], Free>;
    static Block new_block() {
        constexpr std::size_t kBytes = kBlock * sizeof(Packet);
        Block block(static_cast<Packet*>(std::aligned_alloc(kBytes, kBytes)));
        if (block == nullptr) throw std::bad_alloc();
        static_cast<void>(madvise(block.get(), kBytes, MADV_HUGEPAGE));
        return block;
    }

    std::vector<Block> blocks_;
    std::uint32_t size_ = 0;
    PacketId free_ = kNone;
};

/// First in, first out.
struct Queue {
    PacketId head = kNone;
    PacketId tail = kNone;
    std::uint32_t bytes = 0;
    std::uint32_t most = 0;  // bytes waiting at most, since whoever asked set it back

    [[nodiscard]] bool empty() const { return head == kNone; }
    void push(Pool& pool, PacketId id) {
        pool[id].next = kNone;
        if (head == kNone) {
            head = id;
        } else {
            pool[tail].next = id;
        }
        tail = id;
        bytes += pool[id].bytes;
        if (bytes > most) most = bytes;
    }
    PacketId pop(Pool& pool) {
        const PacketId id = head;
        head = pool[id].next;
        bytes -= pool[id].bytes;
        return id;
    }
};

}  // namespace weft::packet
