#pragma once
// verbs: lanes of RDMA queue pairs (reliable connections over RoCE v2 or InfiniBand) between NIC
// ports of equal rail and plane, several per pair of ports where `paths` says so, each with a flow
// label, hence a UDP source port, of its own. libibverbs is loaded at run time.
// Up to 1 KiB a message is copied through slots; more is offered, granted, and written by the
// sender's NIC straight into place. Dead lanes are fenced at both ends: transport/README.md.
// Leaves out: UD, reads, atomics, shared receive queues, GPU memory.
#include <memory>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"
#include "collectives/transport/verbs/verbs_api.hpp"

namespace weft::live {

struct VerbsOptions {
    std::vector<Port> ports;                        // as given to NetControl
    std::uint32_t paths = 1;                        // queue pairs per pair of ports
    std::chrono::milliseconds redial{300};          // between attempts to get a dead lane back
    std::chrono::milliseconds unreachable{10'000};  // all lanes of a peer dead: a fault
};

/// Publishes its card and takes connections: to be made before control.meet(). `control` outlives
/// the endpoint. The error is one line: no library, no device, no locked memory.
[[nodiscard]] Outcome<std::unique_ptr<Endpoint>> make_verbs_endpoint(
    NetControl& control, const VerbsOptions& options, std::shared_ptr<verbs::Api> api);
[[nodiscard]] Outcome<std::unique_ptr<Endpoint>> make_verbs_endpoint(NetControl& control,
                                                                     const VerbsOptions& options);

/// NIC ports of this machine that have an RDMA device, in order of address; empty: none.
[[nodiscard]] std::vector<Port> verbs_ports();
/// Why there are none, in a few words.
[[nodiscard]] std::string why_no_verbs();
/// Ranks as threads over the RDMA devices of this machine: every subnet is a plane, and the
/// devices of a subnet are dealt out to ranks and rails in order of address, again and again.
[[nodiscard]] std::unique_ptr<Transport> make_verbs(const TransportOptions& options);

}  // namespace weft::live
