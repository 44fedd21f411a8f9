#pragma once
// mpi: messages over an MPI library, point to point: any fabric that it drives. Frames are those of
// tcp (tcp/frame.hpp), each one MPI message of at most 256 KiB; short messages go at once, longer
// ones when the receiver has granted them, so that what waits unasked is bounded.
// One lane a pair: rails, planes and their deaths are the MPI library's. MPI cannot take a message
// back, so no message is sent from, and none is received into, the caller's memory: one copy at
// each end, and cancel() returns at once. Nor does MPI wake a sleeper: while messages are under way
// a rank looks again after 50 us, and later after up to 1 ms.
// Leaves out: the death of lanes, and life after the death of a rank where MPI ends the job then.
#include <memory>
#include <optional>
#include <string>

#include "collectives/transport/mpi/mpi_module.h"
#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

struct MpiOptions {
    std::uint32_t lanes = 1;          // to each peer, all alike
    std::uint32_t eager = 16 * 1024;  // up to here a message goes without being asked for
    /// Ranks are threads of this process; a number of messages of their
    /// own, from here on, one a rank.
    std::optional<int> threads;
};

class MpiEndpoint : public Endpoint {
  public:
    /// After control.meet(): collective over the world's ranks. Blocks in MPI.
    virtual Status assemble() = 0;
};

/// The module that this installation has; the error is one line.
[[nodiscard]] Outcome<const weft_mpi_module*> load_mpi();

/// Publishes its card: to be made before control.meet(). `control` outlives the endpoint. The error
/// is one line: no module, MPI for one thread only, or over.
[[nodiscard]] Outcome<std::unique_ptr<MpiEndpoint>> make_mpi_endpoint(NetControl& control,
                                                                      const MpiOptions& options);

/// Ranks as threads of a process that is an MPI job of one: for the conformance suite.
[[nodiscard]] std::unique_ptr<Transport> make_mpi(const TransportOptions& options);

}  // namespace weft::live
