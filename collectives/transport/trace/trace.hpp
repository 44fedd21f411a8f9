#pragma once
// trace: a decorator that writes down when each message was posted and completed, on which lane,
// and when lanes died and came back. Two stores and a look-up a message; nothing where it is not
// put between. Output: Chrome's trace format (chrome://tracing, Perfetto: one process a rank, one
// row a peer and lane, messages as async events since they overlap) or CSV. Leaves out: what is
// done with the bytes (Communicator::on_slice), and clocks of several hosts.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collectives/transport/transport.hpp"

namespace weft::live {

struct TraceEvent {
    enum class Kind : std::uint8_t { kSend, kLost, kReceive, kLaneDown, kLaneUp };
    Kind kind = Kind::kSend;
    std::uint32_t rank = 0;
    std::uint32_t peer = 0;
    std::uint32_t lane = 0;
    MessageKey key;
    std::uint64_t bytes = 0;
    Clock::time_point posted;     // a lane's event: when it was told
    Clock::time_point completed;  // the same
};
[[nodiscard]] const char* name_of(TraceEvent::Kind k);

/// One rank's, in order of completion.
using TraceLog = std::vector<TraceEvent>;

/// `log` outlives the endpoint and belongs to it meanwhile.
[[nodiscard]] std::unique_ptr<Endpoint> with_trace(std::unique_ptr<Endpoint> inner, TraceLog& log);
/// A world all of whose ranks have it; `logs` has one each.
[[nodiscard]] std::unique_ptr<Transport> with_trace(std::unique_ptr<Transport> inner,
                                                    std::vector<TraceLog>& logs);

/// Times count from `origin`. Of several ranks: their logs one after the other.
[[nodiscard]] std::string to_chrome_json(std::span<const TraceEvent> events,
                                         Clock::time_point origin);
[[nodiscard]] std::string to_csv(std::span<const TraceEvent> events, Clock::time_point origin);

}  // namespace weft::live
