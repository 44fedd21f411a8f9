#pragma once
// Operations as an endpoint between processes knows them. Numbers of operations rise within a
// context, so that what comes is of an operation that is under way, still to come, or over: the
// first is matched by key, the second waits, the third is acknowledged and dropped.
#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

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

/// What every transport's operation has.
struct OperationState {
    OperationHead head;
    bool begun = false;
    bool faulted = false;  // one fault of an operation is told
    std::vector<std::pair<std::uint32_t, OperationHead>> theirs;  // heads that came too early
};

inline void raise(std::deque<Fault>& faults, OperationState& op, Fault fault) {
    if (op.faulted) return;
    op.faulted = true;
    fault.context = op.head.context;
    fault.operation = op.head.operation;
    faults.push_back(std::move(fault));
}

/// Whether the peer runs what this rank does; kept for begin() when this rank is not that far, a
/// fault when it does not.
inline bool same_head(std::deque<Fault>& faults, OperationState& op, std::uint32_t peer,
                      const OperationHead& theirs) {
    if (!op.begun) {
        const bool known = std::any_of(op.theirs.begin(), op.theirs.end(),
                                       [&](const auto& t) { return t.first == peer; });
        if (!known) op.theirs.emplace_back(peer, theirs);
        return true;
    }
    if (op.head == theirs) return true;
    raise(faults, op,
          {.kind = Fault::Kind::kDisagreement,
           .peer = peer,
           .ours = op.head,
           .theirs = theirs,
           .what = {}});
    return false;
}

/// `Operation` is an OperationState.
template <class Operation>
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

}  // namespace weft::live
