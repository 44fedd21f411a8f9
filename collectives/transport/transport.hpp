#pragma once
// The transport contract: what the runtime asks of anything that moves bytes between ranks. It is
// meant to be implemented in a day; `inproc` (threads of one process) is the model implementation.
//
// A lane is one path between two ranks: (local NIC port, remote NIC port, plane, path id). The
// sender chooses the lane of every message; the receiver takes it from whichever lane it comes on.
//
// Order.     Messages are matched by (peer, MessageKey), not by order of arrival; a key is used
//            once. A lane delivers in the order of posting, between lanes there is no order, and a
//            message that nobody has asked for yet holds up no other.
// Operations begin() and end() say which operations this rank is in. Messages of an operation that
//            has not begun wait at a bounded cost; those of one that has ended are dropped.
// Ownership. A sent range belongs to the transport, and may be read by the peer, until kSent or
//            kSendLost. A receive destination belongs to it until kReceived. What the kReceived of
//            a view shows belongs to the transport again after release().
// Acks.      kSent means consumed end to end: the peer's copy is complete or its view released.
// Errors.    A dead lane gives kLaneDown once at the sender; each message that was on it and not
//            consumed comes back as kSendLost, after which no byte of it can arrive any more (fence
//            first): the caller posts it again, same key, on another lane. A lane that the
//            transport has probed and found well again gives kLaneUp. A peer that has connected to
//            this rank may be heard of, and its lanes() asked for, before this rank connects.
//            What is wrong with a message itself is read from fault().
// Waiting.   Only connect() blocks, with a deadline. poll() never does. To sleep: arm(), then wait
//            for one of fds() to become readable, then disarm(): see sleep_until().
// Threads.   One call at a time, from any thread; wake() from any thread at any time.
// Leaves out: collectives, reductions, choice of lanes, re-sending (collectives/runtime); who is
// there, who gave up (control.hpp).
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/registry.hpp"
#include "base/result.hpp"
#include "collectives/transport/control.hpp"
#include "collectives/transport/message.hpp"

namespace weft::live {

struct Lane {
    std::int32_t local_port = 0;   // NIC port of this rank
    std::int32_t remote_port = 0;  // NIC port of the peer
    std::int32_t rail = 0;
    std::int32_t plane = 0;
    std::uint32_t path = 0;  // among the paths of one pair of ports
};

struct Completion {
    enum class Kind : std::uint8_t { kSent, kSendLost, kReceived, kLaneDown, kLaneUp };
    Kind kind = Kind::kSent;
    std::uint32_t peer = 0;
    std::uint32_t lane = 0;
    MessageKey key;
    Segments data;             // kReceived: the destination, or where the bytes lie
    std::uint64_t ticket = 0;  // kReceived of a view: for release()
};

/// What is wrong with a message; ends its operation.
struct Fault {
    enum class Kind : std::uint8_t {
        kDisagreement,  // the peer runs something else under the same number
        kWrongSize,     // the message does not fit the receive
        kUnreachable,   // no lane to the peer could be made or kept
        kCorrupt,       // what came is not a message of this version, or its CRC is wrong
    };
    Kind kind = Kind::kDisagreement;
    ContextId context = 0;
    std::uint64_t operation = 0;
    std::uint32_t peer = 0;
    OperationHead ours, theirs;  // kDisagreement
    std::string what;            // the others: in words
};

class Endpoint {
  public:
    virtual ~Endpoint() = default;
    [[nodiscard]] virtual std::uint32_t rank() const = 0;
    [[nodiscard]] virtual std::uint32_t ranks() const = 0;

    /// Blocks until `peer` can be sent to and received from. The error names who is missing.
    virtual Status connect(std::uint32_t peer, Clock::time_point deadline) = 0;
    /// Lanes to a connected peer, the same list at both ends (ports swapped); valid for ever.
    [[nodiscard]] virtual std::span<const Lane> lanes(std::uint32_t peer) const = 0;

    /// Makes memory usable for post_*; the memory outlives the region.
    [[nodiscard]] virtual std::uint32_t register_region(std::span<std::byte> memory) = 0;
    virtual void deregister_region(std::uint32_t region) = 0;

    /// From now on messages of this operation are posted. Numbers rise within a context.
    virtual void begin(const OperationHead& head) = 0;
    /// Nothing of the operation is outstanding here, and what still comes of it is dropped. What
    /// peers wait to hear of it has gone out.
    virtual void end(ContextId context, std::uint64_t operation) = 0;
    /// end() on the way out after an error: takes back everything posted of the operation. When it
    /// returns no peer touches this rank's memory and nothing arrives in it. Blocks only while a
    /// peer is busy copying, and not for longer than a second.
    virtual void cancel(ContextId context, std::uint64_t operation) = 0;

    /// False when the lane can take no more at present (poll, then try again) or is dead. The list
    /// of segments stays in place as long as the bytes do.
    [[nodiscard]] virtual bool post_send(std::uint32_t peer, std::uint32_t lane,
                                         const MessageKey& key, Segments data) = 0;
    /// The bytes arrive at the destination; sizes must be equal. The list stays in place until
    /// kReceived.
    virtual void post_recv(std::uint32_t peer, const MessageKey& key, Segments to) = 0;
    /// Without destination: kReceived shows the bytes where they lie; release() gives them back.
    /// `size` is what must come.
    virtual void post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) = 0;
    virtual void release(const Completion& received) = 0;

    /// Completions that have come, oldest first; never blocks.
    [[nodiscard]] virtual std::size_t poll(std::span<Completion> out) = 0;
    /// The oldest fault that nobody has asked for yet.
    [[nodiscard]] virtual std::optional<Fault> fault() = 0;

    /// False: poll() or fault() may have news already, do not sleep. True: one of fds() becomes
    /// readable when they may.
    [[nodiscard]] virtual bool arm() = 0;
    virtual void disarm() = 0;
    [[nodiscard]] virtual std::span<const int> fds() const = 0;
    /// Ends the sleep of whoever waits on fds(); from any thread.
    virtual void wake() = 0;
    /// Whether peers may want answers although nothing is posted here (that a lane lives, that a
    /// message which was sent again had arrived): poll() every few milliseconds then.
    [[nodiscard]] virtual bool restless() const { return false; }

    /// For tests of failures: from now on the lane's path carries nothing, in either direction, as
    /// if it had been cut. False if the transport cannot do that.
    virtual bool cut_lane(std::uint32_t peer, std::uint32_t lane) = 0;
    virtual bool mend_lane(std::uint32_t peer, std::uint32_t lane) = 0;
    /// For tests of verification: a bit of the next bytes that leave by the lane is turned over on
    /// its way, behind whatever was computed to find that. False if the transport cannot do that.
    virtual bool corrupt_lane(std::uint32_t, std::uint32_t) { return false; }
};

/// Sleeps until one of the descriptors is readable, or `until`.
void wait_readable(std::span<const int> fds, Clock::time_point until);
/// Sleeps until the endpoint may have news, is woken, or `until`. Checks before it sleeps.
void sleep_until(Endpoint& endpoint, Clock::time_point until);

/// One rank's part of a world. The endpoint goes first.
struct Member {
    std::unique_ptr<Control> control;
    std::unique_ptr<Endpoint> endpoint;
};

struct TransportOptions {
    std::uint32_t ranks = 2;
    std::uint32_t rails = 1;
    std::uint32_t planes = 2;
    std::uint32_t paths = 1;  // per rail and plane; lanes of a pair = rails x planes x paths
    bool verify = false;      // tcp: a CRC of every payload
};

/// A world whose ranks are threads of one process: for tests, and for `weft bench` without
/// processes.
class Transport {
  public:
    virtual ~Transport() = default;
    /// One rank's part, once per rank, from that rank's thread. Members must not outlive the
    /// transport. May block until the other ranks have come, no longer than `deadline`.
    [[nodiscard]] virtual Outcome<Member> open(std::uint32_t rank, Clock::time_point deadline) = 0;
    /// Whether ranks are there for each other as soon as each is open; otherwise open() blocks
    /// until all ranks have come.
    [[nodiscard]] virtual bool opens_alone() const = 0;
};

using MakeTransport = std::unique_ptr<Transport> (*)(const TransportOptions&);

/// Every transport that this build has; one row each in builtin.cpp.
[[nodiscard]] const Registry<MakeTransport>& transports();
/// The row of that name; ConfigError otherwise, which says what this machine or build lacks where
/// the transport is known (verbs without an RDMA device).
[[nodiscard]] const Registry<MakeTransport>::Row& transport_named(const std::string& name);

}  // namespace weft::live
