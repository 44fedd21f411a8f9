#pragma once
// The transport contract: what the runtime asks of anything that moves bytes between ranks. It is
// meant to be implemented in a day; `inproc` (threads of one process) is the model implementation.
//
// A lane is one path between two ranks: (local NIC port, remote NIC port, plane, path id). The
// sender chooses the lane of every message; the receiver takes it from whichever lane it comes on.
//
// Order.     Messages are matched by (peer, MessageKey), not by order of arrival; a key is used
// once.
//            A lane delivers in the order of posting; between lanes there is no order.
// Ownership. A sent range belongs to the transport, and may be read by the peer, until kSent or
//            kSendLost. A receive destination belongs to it until kReceived. What the kReceived of
//            a view shows belongs to the transport again after release().
// Acks.      kSent means consumed end to end: the peer's copy is complete or its view released.
// Errors.    A dead lane gives kLaneDown once at the sender; each message that was on it and not
//            consumed comes back as kSendLost, after which no byte of it can arrive any more (fence
//            first): the caller posts it again, same key, on another lane. What ends the operation
//            (a peer aborted, or disagrees) is read from fault(), and stays.
// Deadlines. Only connect() and wait() block, and both take one. No call hangs without a limit.
// Threads.   An endpoint is used by one thread. Endpoints of one Transport run in parallel.
// Leaves out: collectives, reductions, choice of lanes, re-sending (all in collectives/runtime).
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/registry.hpp"
#include "base/result.hpp"

namespace weft::live {

using Clock = std::chrono::steady_clock;

struct Lane {
    std::int32_t local_port = 0;   // NIC port of this rank
    std::int32_t remote_port = 0;  // NIC port of the peer
    std::int32_t rail = 0;
    std::int32_t plane = 0;
    std::uint32_t path = 0;  // among the paths of one pair of ports
};

/// Which message: sequence number `sequence` of `stream` in operation number `operation`.
struct MessageKey {
    std::uint64_t operation = 0;
    std::uint32_t stream = 0;  // (channel, stage): a connection, once the two ranks are known
    std::uint32_t sequence = 0;
    bool operator==(const MessageKey&) const = default;
};

/// What a rank says about an operation with its first message; equal on all ranks or an error.
/// `dtype` and `reduction` are the runtime's codes; a transport only compares them.
struct OperationHead {
    std::uint64_t operation = 0;
    std::uint64_t plan_hash = 0;
    std::uint64_t count = 0;
    std::uint32_t dtype = 0;
    std::uint32_t reduction = 0;
    bool operator==(const OperationHead&) const = default;
    /// Travels with every message, so that nothing of another operation is ever consumed.
    [[nodiscard]] std::uint64_t digest() const;
};

/// A range of a registered region.
struct Segment {
    std::uint32_t region = 0;
    std::byte* data = nullptr;
    std::size_t size = 0;
};
/// What a message is made of, in order. Sender and receiver may cut it differently.
using Segments = std::span<const Segment>;
[[nodiscard]] std::size_t total_size(Segments segments);
/// Reads through segments piece by piece.
class SegmentReader {
  public:
    explicit SegmentReader(Segments segments) : left_(segments) {}
    /// The next contiguous bytes, at most `most` of them; empty at the end.
    std::span<std::byte> next(std::size_t most) {
        while (!left_.empty() && at_ == left_.front().size) {
            left_ = left_.subspan(1);
            at_ = 0;
        }
        if (left_.empty()) return {};
        const std::span<std::byte> piece{left_.front().data + at_,
                                         std::min(most, left_.front().size - at_)};
        at_ += piece.size();
        return piece;
    }

  private:
    Segments left_;
    std::size_t at_ = 0;
};

struct Completion {
    enum class Kind : std::uint8_t { kSent, kSendLost, kReceived, kLaneDown };
    Kind kind = Kind::kSent;
    std::uint32_t peer = 0;
    std::uint32_t lane = 0;
    MessageKey key;
    Segments data;             // kReceived: the destination, or where the bytes lie
    std::uint64_t ticket = 0;  // kReceived of a view: for release()
};

/// Why an operation cannot go on.
struct Fault {
    enum class Kind : std::uint8_t {
        kDisagreement,  // the peer runs something else
        kAborted,       // the peer gave up
        kWrongSize,     // the peer's message does not fit the receive
    };
    Kind kind = Kind::kAborted;
    std::uint32_t peer = 0;
    OperationHead theirs;  // kDisagreement: what the peer runs
    OperationHead ours;
    std::string what;  // the others: in words
};

class Endpoint {
  public:
    virtual ~Endpoint() = default;
    [[nodiscard]] virtual std::uint32_t rank() const = 0;
    [[nodiscard]] virtual std::uint32_t ranks() const = 0;

    /// Blocks until `peer` is there and its lanes can be used. The error names who is missing.
    virtual Status connect(std::uint32_t peer, Clock::time_point deadline) = 0;
    /// Lanes to a connected peer, the same list at both ends (ports swapped); valid for ever.
    [[nodiscard]] virtual std::span<const Lane> lanes(std::uint32_t peer) const = 0;

    /// Makes memory usable for post_*; the memory outlives the region.
    [[nodiscard]] virtual std::uint32_t register_region(std::span<std::byte> memory) = 0;
    virtual void deregister_region(std::uint32_t region) = 0;

    /// Tells the others what this rank runs from now on. Does not block. Two ranks that announce
    /// different heads for one operation number find a Fault at one of them within a second, even
    /// if they exchange no data.
    virtual void announce(const OperationHead& head) = 0;

    /// False when the lane can take no more at present (poll, then try again) or is dead. The list
    /// of segments stays in place as long as the bytes do.
    [[nodiscard]] virtual bool post_send(std::uint32_t peer, std::uint32_t lane,
                                         const MessageKey& key, Segments data) = 0;
    /// The bytes arrive at the destination; sizes must be equal. The list stays in place until
    /// kReceived.
    virtual void post_recv(std::uint32_t peer, const MessageKey& key, Segments to) = 0;
    /// Without destination: kReceived shows the bytes where they lie; release() gives them back.
    virtual void post_view(std::uint32_t peer, const MessageKey& key) = 0;
    virtual void release(const Completion& received) = 0;

    /// Completions that have come, oldest first; never blocks.
    [[nodiscard]] virtual std::size_t poll(std::span<Completion> out) = 0;
    /// Returns when poll() may have news, when fault() may, or at `until`.
    virtual void wait(Clock::time_point until) = 0;

    [[nodiscard]] virtual std::optional<Fault> fault() = 0;
    /// Ends the operation for all ranks; every endpoint's fault() shows the first such error.
    virtual void abort(const LiveError& error) = 0;
    /// Takes back everything posted: when it returns, no peer touches this rank's memory and
    /// nothing arrives in it. For the way out after a fault; blocks only while a peer is busy
    /// copying.
    virtual void cancel() = 0;
    /// Ranks not known to have reached the operation.
    [[nodiscard]] virtual std::vector<std::uint32_t> not_arrived(std::uint64_t operation) = 0;
};

struct TransportOptions {
    std::uint32_t ranks = 2;
    std::uint32_t rails = 1;
    std::uint32_t planes = 2;
    std::uint32_t paths = 1;  // per rail and plane; lanes of a pair = rails x planes x paths
};

/// One process's part of a world of ranks: makes the endpoints of the ranks that live here.
class Transport {
  public:
    virtual ~Transport() = default;
    /// The endpoint of one rank, once per rank; callable from that rank's thread. Endpoints must
    /// not outlive the transport.
    [[nodiscard]] virtual std::unique_ptr<Endpoint> open(std::uint32_t rank) = 0;
    /// Fault injection: the lane from `from` to `to` stops carrying. False if it cannot do that.
    virtual bool kill_lane(std::uint32_t from, std::uint32_t to, std::uint32_t lane) = 0;
};

using MakeTransport = std::unique_ptr<Transport> (*)(const TransportOptions&);

/// Every transport that this build has; one row each in builtin.cpp.
[[nodiscard]] const Registry<MakeTransport>& transports();

}  // namespace weft::live
