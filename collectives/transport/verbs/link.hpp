#pragma once
// One end of one queue pair: a reliable connection that carries a lane, in both directions. Owns
// the slots that messages are sent from and received into, counts what is under way, and is fenced
// before it goes: fail() puts the queue pair into its error state, in which neither it nor what is
// still on the wire touches memory, and when drained() every posted request has come back.
//
// Credits: a message may leave only when the other end has a free slot for it, so that receivers
// are never "not ready". Each header says how many messages its sender has taken out of slots;
// messages of credits alone have slots of their own.
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collectives/transport/verbs/device.hpp"
#include "collectives/transport/verbs/wire.hpp"

namespace weft::live::verbs {

inline constexpr std::uint32_t kDataSlots = 32;  // messages to this end that may be under way
inline constexpr std::uint32_t kSpareSlots = 4;  // besides, for messages of credits alone
inline constexpr std::uint32_t kSlots = kDataSlots + kSpareSlots;
inline constexpr std::uint32_t kMostRequests = kSlots + 2 * kMostTargets;  // on the way out
/// When a peer does not answer: (retries + 1) x 4.096 us x 2^timeout x ~1 = 270 ms on rxe.
inline constexpr std::uint8_t kTimeout = 14;
inline constexpr std::uint8_t kRetries = 3;

/// What the completion of a request says about it.
struct RequestId {
    enum class What : std::uint8_t { kSend, kWrite, kReceive };
    What what = What::kSend;
    std::uint32_t link = 0;
    std::uint32_t number = 0;  // of the slot, or of the request in order of posting
};
[[nodiscard]] std::uint64_t encode(const RequestId& id);
[[nodiscard]] RequestId decode_request(std::uint64_t id);

class Link {
  public:
    struct Place {
        std::uint32_t peer = 0;
        std::uint32_t lane = 0;
        std::uint32_t epoch = 0;
    };
    enum class State : std::uint8_t { kMade, kReady, kFailed };

    /// A queue pair that can receive nothing yet. The error is one line.
    [[nodiscard]] static Outcome<std::unique_ptr<Link>> make(Device& device, std::uint32_t id,
                                                             const Place& place,
                                                             std::uint32_t flow_label);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    [[nodiscard]] const QpRecord& mine() const { return mine_; }
    /// Connects it to the other end: from then on both may send.
    Status connect(const QpRecord& theirs);
    /// The fence. Nothing is posted any more; what was comes back as flushed.
    void fail(const std::string& why);
    [[nodiscard]] bool drained() const { return receives_ == 0 && posted_ == done_; }
    /// For a device that does not flush: without its queue pair nothing can touch memory.
    void drop_queue_pair();

    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] const Place& place() const { return place_; }
    [[nodiscard]] Device& device() const { return device_; }
    [[nodiscard]] ibv_qp* queue_pair() const { return qp_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const std::string& why() const { return why_; }
    [[nodiscard]] std::uint32_t flow_label() const { return label_; }

    /// Whether a message, after so many writes, can leave now.
    [[nodiscard]] bool room(std::size_t writes, bool spare) const;
    /// Room for a message; the caller fills what it will send.
    [[nodiscard]] std::span<std::byte, kMostPayload> payload();
    /// Sends what was put into payload(). False: the queue pair takes nothing.
    bool send(Header header);
    bool write(std::span<ibv_sge> from, std::uint64_t address, std::uint32_t key);
    /// Number of the last request; it is done when requests_done() has reached it.
    [[nodiscard]] std::uint32_t last_request() const { return posted_; }
    [[nodiscard]] bool request_done(std::uint32_t number) const {
        return static_cast<std::int32_t>(done_ - number) >= 0;
    }

    /// A request of this link has come back, well or not.
    void sent(const RequestId& id);
    [[nodiscard]] std::span<const std::byte> received(std::uint32_t slot, std::size_t size);
    void flushed() { --receives_; }
    /// The message has been read: its slot takes the next.
    void again(std::uint32_t slot, const Header& header);
    [[nodiscard]] bool owes_credits() const { return taken_ - reported_ >= kDataSlots / 2; }

    // The endpoint's notes about it.
    struct Out {
        Header header;
        std::vector<std::byte> payload;
        std::vector<Target> targets;  // kWritten: where
    };
    std::deque<Out> out;              // in order of leaving
    std::vector<std::uint64_t> acks;  // serials
    bool peer_fenced = false;         // the other end has said so
    bool told = false;                // that this end is fenced
    Clock::time_point when;           // it failed, or was last spoken of

  private:
    Link(Device& device, std::uint32_t id, const Place& place, std::uint32_t label)
        : device_(device), id_(id), place_(place), label_(label) {}
    Status set_up();
    bool post_receive(std::uint32_t slot);
    [[nodiscard]] std::byte* slot(std::uint32_t n) { return slots_.data() + n * kSlotSize; }

    Device& device_;
    std::uint32_t id_;
    Place place_;
    std::uint32_t label_;
    State state_ = State::kMade;
    std::string why_;
    bool reserved_ = false;
    std::uint32_t most_inline_ = 0;  // bytes of a message that go with its request
    ibv_qp* qp_ = nullptr;
    ibv_mr* key_ = nullptr;
    std::vector<std::byte> slots_;  // to receive into, then to send from
    QpRecord mine_;
    std::uint32_t their_slots_ = 0;
    std::uint32_t receives_ = 0;  // posted
    std::uint32_t posted_ = 0;    // requests to send and to write, modulo 2^32
    std::uint32_t done_ = 0;
    std::uint32_t sends_ = 0;
    std::uint32_t sends_done_ = 0;
    std::uint32_t used_ = 0;      // slots of the other end, ever
    std::uint32_t freed_ = 0;     // ... of those, as it has said
    std::uint32_t taken_ = 0;     // messages out of this end's slots, ever
    std::uint32_t reported_ = 0;  // ... of those, as it was told
};

}  // namespace weft::live::verbs
