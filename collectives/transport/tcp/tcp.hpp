#pragma once
// tcp: lanes of TCP connections between processes on several NIC ports and planes. One connection
// per lane and direction, opened by the side that sends on it. Short messages go at once; longer
// ones when the receiver has granted them, and then from the socket straight into place.
// Frames: frame.hpp. Dead lanes: health.hpp and transport/README.md. How much a lane holds:
// window.hpp. Leaves out: encryption (the connection is authenticated when it is opened), and
// resending, which is the runtime's.
#include <chrono>
#include <memory>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

struct TcpOptions {
    std::uint32_t paths = 1;                 // connections per pair of ports and direction
    std::uint32_t eager = 16 * 1024;         // up to here a message goes without being asked for
    bool verify = false;                     // CRC-32C of every payload, end to end
    std::chrono::milliseconds silence{150};  // of one lane while others speak: dead
    std::chrono::milliseconds redial{200};   // between attempts to get a dead lane back
    std::chrono::milliseconds unreachable{10'000};  // all lanes of a peer dead: a fault
};

/// Publishes its card and takes connections: to be made before control.meet(). `control` outlives
/// the endpoint.
[[nodiscard]] std::unique_ptr<Endpoint> make_tcp_endpoint(NetControl& control,
                                                          const TcpOptions& options);

/// Ranks as threads, over loopback addresses 127.0.(plane + 1).(rail + 1).
[[nodiscard]] std::unique_ptr<Transport> make_tcp(const TransportOptions& options);

}  // namespace weft::live
