#pragma once
// inproc: every rank is a thread of this process, all really concurrent. A pair of ranks has
// rails x planes x paths lanes, each a bounded lock-free queue of descriptors (lane_queue.hpp). The
// receiver reads the sender's memory in place: a copy costs one pass, a reduction none more.
// Leaves out: NICs, wires, loss (a lane dies only when cut_lane says so).
#include <memory>

#include "collectives/transport/transport.hpp"

namespace weft::live {

[[nodiscard]] std::unique_ptr<Transport> make_inproc(const TransportOptions& options);

}  // namespace weft::live
