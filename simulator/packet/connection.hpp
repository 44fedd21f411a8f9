#pragma once
// Connection: the two ends of one queue pair: what the sender has posted, sent and been told, and
// what the receiver has. Packets are numbered through all messages; every packet is full but the
// last of its message.
#include <memory>
#include <vector>

#include "flow_control/cc/congestion_control.hpp"
#include "flow_control/cc/credits.hpp"
#include "simulator/packet/packet.hpp"

namespace weft::packet {

/// One bit a packet for a window of packet numbers that moves on; grows to what it has to hold.
class Marks {
  public:
    /// `from`: the first number that is still of interest; `seq` is not before it.
    [[nodiscard]] bool test(std::uint32_t seq, std::uint32_t from) const {
        if (seq - (from & ~63U) >= words_.size() * 64) return false;
        return (words_[word(seq)] >> (seq & 63) & 1) != 0;
    }
    void set(std::uint32_t seq, std::uint32_t from) {
        if (seq - (from & ~63U) >= words_.size() * 64) grow(seq, from);
        words_[word(seq)] |= std::uint64_t{1} << (seq & 63);
    }
    void clear(std::uint32_t seq) {
        if (!words_.empty()) words_[word(seq)] &= ~(std::uint64_t{1} << (seq & 63));
    }
    [[nodiscard]] std::size_t bytes() const { return words_.capacity() * 8; }

  private:
    [[nodiscard]] std::size_t word(std::uint32_t seq) const {
        return (seq >> 6) & (words_.size() - 1);
    }
    void grow(std::uint32_t seq, std::uint32_t from) {
        std::size_t n = words_.empty() ? 1 : words_.size();
        while (seq - (from & ~63U) >= n * 64) n *= 2;
        std::vector<std::uint64_t> wider(n, 0);
        for (std::size_t i = 0; i < words_.size(); ++i) {
            const std::uint32_t w = (from >> 6) + static_cast<std::uint32_t>(i);
            wider[w & (n - 1)] = words_[w & (words_.size() - 1)];
        }
        words_ = std::move(wider);
    }
    std::vector<std::uint64_t> words_;  // a power of two
};

struct Message {
    std::uint32_t end = 0;   // number after its last packet
    std::uint32_t last = 0;  // payload of that packet
    std::uint32_t next = kNone;
    std::uint64_t name = 0;
};

/// Where a sender stands.
enum class Sending : std::uint8_t {
    kNothing,  // all posted packets are sent
    kReady,    // in the ring of its port
    kPaced,    // until `next_at`
    kWindow,   // until an acknowledgement
};

struct Connection {
    // Where.
    std::uint32_t port = 0;         // the link it sends on
    std::uint32_t first_there = 0;  // its route in the table of routes
    std::uint32_t there = 0;        // the next link of its packets; the exit, where switches choose
    std::uint32_t back = 0;
    std::uint32_t row = kNone;   // of the forwarding table, where switches choose
    std::uint32_t ring = kNone;  // the next one that is ready at the port
    std::uint32_t payload = 0;   // of a full packet
    std::uint32_t header = 0;
    Sending sending = Sending::kNothing;
    std::uint8_t backoff = 0;  // timeouts in a row
    bool gave_up = false;
    bool asked_again = false;  // receiver: the gap has been reported
    bool speculates = false;   // sends a first window without credit
    bool waited = false;       // once more, for credit
    // The sender.
    std::uint32_t posted = 0;
    std::uint32_t next = 0;     // the next new packet
    std::uint32_t highest = 0;  // all before it have been sent at least once
    std::uint32_t asked = 0;    // all before it that asked for an answer at once were sent
    std::uint32_t acked = 0;    // all before it have arrived
    std::int64_t in_flight = 0;
    std::int64_t next_at = 0;  // pacing: `paced` bytes from `paced_from` on at the rate now
    std::int64_t paced_from = 0;
    std::int64_t paced_rate = 0;
    std::uint32_t paced = 0;
    std::int64_t offer = 0;       // bit/s on the wire that its owner hands over; 0: all at once
    std::int64_t offered_at = 0;  // the next new packet is there to be sent
    std::int64_t ready_at = 0;    // since when it is in the ring
    std::int64_t give_up_at = INT64_MAX;
    std::uint64_t sent_bytes = 0;
    std::uint64_t acked_bytes = 0;
    std::uint32_t oldest = kNone;   // message not wholly acknowledged
    std::uint32_t current = kNone;  // message of `next`
    std::uint32_t newest = kNone;
    std::vector<std::uint32_t> again;  // numbers to send again, before new ones, from the back
    Marks arrived_there;               // acknowledged out of order
    Marks lost;                        // taken for lost and not yet sent again: not in flight
    std::uint32_t newest_arrived = 0;  // none from here on is known to have arrived
    std::uint32_t judged = 0;          // below it, overtaken packets were taken for lost, once each
    std::unique_ptr<CongestionControl> cc;
    std::int64_t base_round_trip = 0;
    CreditAccount credit{Bytes{}};  // where receivers grant it
    std::int64_t wanted = 0;        // beyond the first windows
    std::int64_t told = 0;          // of that, what packets have said
    // The receiver.
    std::uint32_t expected = 0;
    std::uint32_t payee = 0;             // among those that its port grants credit to
    std::uint32_t heard = 0;             // of what the sender wants
    std::uint32_t receiving = kNone;     // message not wholly arrived
    std::uint32_t unreported = 0;        // payload since the last ACK
    std::uint32_t marked = 0;            // of the bytes since then
    std::uint32_t first_unreported = 0;  // number of the least packet since then
    std::uint64_t since = 0;             // packets since then, from that number on
    std::int64_t notified_at = INT64_MIN / 2;
    Marks arrived;
};

}  // namespace weft::packet
