#pragma once
// What is posted, offered, granted and has come, by operation (ledger.hpp).
#include <set>
#include <unordered_map>
#include <vector>

#include "collectives/transport/ledger.hpp"
#include "collectives/transport/verbs/memory.hpp"

namespace weft::live::verbs {

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

struct Operation : OperationState {
    std::unordered_map<PeerKey, Receive, PeerKeyHash> receives;
    std::set<std::uint32_t> lost_to;  // peers to whom sends were lost with their lane
};

using Ledger = live::Ledger<Operation>;

}  // namespace weft::live::verbs
