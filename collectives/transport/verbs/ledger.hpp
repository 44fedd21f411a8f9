#pragma once
// What is posted, offered, granted and has come, by operation. Numbers of operations rise within a
// context, so that what comes is of an operation that is under way, still to come, or over: the
// first is matched by key, the second waits, the third is acknowledged and dropped.
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "collectives/transport/transport.hpp"
#include "collectives/transport/verbs/memory.hpp"

namespace weft::live::verbs {

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
    bool wanted = false;    // offered, and not granted to that attempt yet
    bool complete = false;  // all bytes are here
    bool consumed = false;  // handed over or released: acknowledged
    std::uint64_t size = 0;
    Segments to;
    // The latest attempt.
    std::uint64_t serial = 0;
    std::uint32_t link = 0;
    std::uint32_t lane = 0;
    std::uint32_t granted = 0;  // the link by which it may be written; 0: none
    bool held = false;          // `early` counts: a short message that was not put in place
    std::vector<std::byte> early;
    Memory::Bounce bounce;  // it has no place of its own
    Segment shown;          // for a view
};

struct Send {
    std::uint64_t serial = 0;
    std::uint32_t peer = 0;
    std::uint32_t lane = 0;
    std::uint32_t link = 0;
    MessageKey key;
    OperationHead head;
    Segments data;
    std::uint64_t size = 0;
    bool eager = false;         // counts against what the peer holds early
    bool wrote = false;         // the device reads the memory until `request` is done
    std::uint32_t request = 0;  // of the link
    Memory::Bounce bounce;      // a copy, of data in too many pieces
};

struct Operation {
    OperationHead head;
    bool begun = false;
    bool faulted = false;  // one fault of an operation is told
    std::unordered_map<PeerKey, Receive, PeerKeyHash> receives;
    std::vector<std::pair<std::uint32_t, OperationHead>> theirs;  // heads that came too early
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

}  // namespace weft::live::verbs
