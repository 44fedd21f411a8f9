#pragma once
// Packet and its pool: what is in flight, in flat memory, linked by index.
#include <cstdint>
#include <vector>

#include "base/units.hpp"

namespace weft::packet {

using PacketId = std::uint32_t;
inline constexpr std::uint32_t kNone = ~std::uint32_t{0};

enum class Kind : std::uint8_t { kData, kAck, kNack, kNotify, kPause };

/// Classes of a port: control goes first.
inline constexpr std::uint8_t kControl = 0;
inline constexpr std::uint8_t kPayload = 1;
inline constexpr std::size_t kClasses = 2;

struct Packet {
    std::uint32_t next = kNone;  // in the queue or on the wire
    std::uint32_t flow = kNone;
    std::uint32_t route = 0;      // where the next link stands in the table of routes
    std::uint32_t seq = 0;        // which packet of the flow; of an ACK: all before it have arrived
    std::int64_t stamp = 0;       // when it left its sender; an ACK brings it back
    std::int64_t at = 0;          // on the wire: when its last bit is at the far end
    std::uint32_t bytes = 0;      // on the wire
    std::uint32_t marked = 0;     // of an ACK: bytes that arrived marked since the last one
    std::uint32_t echo = 0;       // of an ACK: the packet that caused it
    std::uint32_t extra = kNone;  // what few packets carry
    std::uint32_t ingress = kNone;  // the link it came in by
    std::uint32_t row = kNone;      // of the forwarding table: the switches choose
    std::uint16_t entropy = 0;
    Kind kind = Kind::kData;
    std::uint8_t cls = kPayload;
    std::uint8_t hops = 0;
    bool congested : 1 = false;  // ECN
    bool trimmed : 1 = false;
    bool ask : 1 = false;    // for an answer at once: the last of its message, or of the window
    bool again : 1 = false;  // sent before
};
static_assert(sizeof(Packet) == 64, "one cache line");

class Pool {
  public:
    /// References into the pool do not outlive this call.
    PacketId take() {
        if (free_ == kNone) {
            packets_.emplace_back();
            return static_cast<PacketId>(packets_.size() - 1);
        }
        const PacketId id = free_;
        free_ = packets_[id].next;
        packets_[id] = Packet{};
        return id;
    }
    void give(PacketId id) {
        packets_[id].next = free_;
        free_ = id;
    }
    Packet& operator[](PacketId id) { return packets_[id]; }
    [[nodiscard]] std::size_t most() const { return packets_.size(); }
    [[nodiscard]] std::size_t bytes() const { return packets_.capacity() * sizeof(Packet); }

  private:
    std::vector<Packet> packets_;
    PacketId free_ = kNone;
};

/// First in, first out.
struct Queue {
    PacketId head = kNone;
    PacketId tail = kNone;
    std::uint32_t bytes = 0;
    std::uint32_t most = 0;  // bytes ever waiting

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
