#pragma once
// What is posted, granted and half received, by operation. Numbers of operations rise within a
// context, so that what comes is of an operation that is under way, still to come, or over: the
// first is matched by key, the second waits, the third is acknowledged and dropped.
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "collectives/transport/tcp/pool.hpp"
#include "collectives/transport/tcp/wire.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live::tcp {

/// A message within an operation, at one end.
struct PeerKey {
    std::uint32_t peer = 0;
    std::uint32_t stream = 0;
    std::uint32_t sequence = 0;
    bool operator==(const PeerKey&) const = default;
};
struct PeerKeyHash {
    std::size_t operator()(const PeerKey& k) const {
        return mix64(k.peer, std::uint64_t{k.stream} << 32 | k.sequence);
    }
};

/// A message on its way in: asked for, come unasked, or both; kept when consumed, so that a second
/// copy is known as such.
struct Receive {
    bool posted = false;
    bool view = false;
    bool wanted = false;    // the sender waits for a grant although the message is short
    bool seen = false;      // its size is known from the sender
    bool complete = false;  // all bytes are here
    bool consumed = false;  // handed over or released: acknowledged
    bool buffered = false;  // counted in the peer's share of early bytes
    std::uint64_t size = 0;
    Segments to;
    Landing landing;
    Pool::Buffer buffer;
    Segment shown;              // the buffer, for a view
    std::uint32_t lane = 0;     // the latest attempt's
    std::uint64_t wire_id = 0;  // ... where it is acknowledged
};

struct Send {
    std::uint64_t serial = 0;
    std::uint32_t peer = 0;
    std::uint32_t lane = 0;
    MessageKey key;
    OperationHead head;
    SegmentCursor from;
    std::uint64_t size = 0;
    std::uint64_t sent = 0;
    bool eager = false;        // counts against what the peer holds early
    bool header_only = false;  // the peer asked for something else: shown, not sent
    [[nodiscard]] PeerKey peer_key() const { return {peer, key.stream, key.sequence}; }
};

struct Operation {
    OperationHead head;
    bool begun = false;
    bool faulted = false;  // one fault of an operation is told
    std::unordered_map<PeerKey, Receive, PeerKeyHash> receives;
    std::unordered_map<PeerKey, std::uint64_t, PeerKeyHash> grants;   // size that the peer takes
    std::unordered_map<PeerKey, std::uint64_t, PeerKeyHash> waiting;  // serials of sends
    std::vector<std::pair<std::uint32_t, OperationHead>> theirs;      // heads that came too early
    std::set<std::uint32_t> lost_to;  // peers to whom sends were lost with their lane
};

class Ledger {
  public:
    using Id = std::pair<ContextId, std::uint64_t>;

    [[nodiscard]] Operation* find(ContextId context, std::uint64_t operation) {
        const auto found = operations_.find({context, operation});
        return found == operations_.end() ? nullptr : &found->second;
    }
    [[nodiscard]] bool ended(ContextId context, std::uint64_t operation) const {
        const auto newest = newest_.find(context);
        return newest != newest_.end() && operation <= newest->second &&
               operations_.find({context, operation}) == operations_.end();
    }
    /// The operation, known from now on if it has not ended.
    [[nodiscard]] Operation& open(ContextId context, std::uint64_t operation) {
        return operations_[{context, operation}];
    }
    /// False: its number is not higher than that of the last one that began in its context.
    [[nodiscard]] bool begin(const OperationHead& head) {
        const auto [newest, first] = newest_.try_emplace(head.context, head.operation);
        if (!first && head.operation <= newest->second) return false;
        newest->second = head.operation;
        Operation& op = open(head.context, head.operation);
        op.head = head;
        op.begun = true;
        return true;
    }
    void erase(ContextId context, std::uint64_t operation) {
        operations_.erase({context, operation});
    }
    /// Operations that this rank has skipped: known only from what came of them.
    [[nodiscard]] std::vector<Id> skipped(ContextId context, std::uint64_t before) const {
        std::vector<Id> ids;
        for (auto it = operations_.lower_bound({context, 0});
             it != operations_.end() && it->first < Id{context, before}; ++it)
            if (!it->second.begun) ids.push_back(it->first);
        return ids;
    }
    [[nodiscard]] std::map<Id, Operation>& all() { return operations_; }

  private:
    std::map<Id, Operation> operations_;
    std::unordered_map<ContextId, std::uint64_t> newest_;
};

}  // namespace weft::live::tcp
