#pragma once
// A world whose ranks are threads of one process and which is otherwise real: every rank has its
// own NetControl, and they meet at a TCP store on the loopback address. For the conformance suite
// and for benchmarks without processes.
#include <functional>
#include <memory>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

/// Called once a rank, before the meeting.
using MakeEndpoint = std::function<Outcome<std::unique_ptr<Endpoint>>(NetControl&)>;

struct ThreadedWorldOptions {
    std::uint32_t ranks = 2;
    /// Of the given rank; its number and the count of ranks are filled in.
    std::function<NetOptions(std::uint32_t rank)> net;
    MakeEndpoint make;
};
/// Destroying a member says farewell for its rank.
[[nodiscard]] std::unique_ptr<Transport> make_threaded_world(ThreadedWorldOptions options);

}  // namespace weft::live
