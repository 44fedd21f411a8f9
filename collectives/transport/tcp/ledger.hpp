#pragma once
// What is posted, granted and half received, by operation (ledger.hpp).
#include <set>
#include <unordered_map>
#include <vector>

#include "collectives/transport/ledger.hpp"
#include "collectives/transport/tcp/pool.hpp"
#include "collectives/transport/tcp/wire.hpp"

namespace weft::live::tcp {

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

struct Operation : OperationState {
    std::unordered_map<PeerKey, Receive, PeerKeyHash> receives;
    std::unordered_map<PeerKey, std::uint64_t, PeerKeyHash> grants;   // size that the peer takes
    std::unordered_map<PeerKey, std::uint64_t, PeerKeyHash> waiting;  // serials of sends
    std::set<std::uint32_t> lost_to;  // peers to whom sends were lost with their lane
};

using Ledger = live::Ledger<Operation>;

}  // namespace weft::live::tcp
