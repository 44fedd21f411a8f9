#pragma once
// Endpoints between processes, by the name of their transport: those that a World uses. One row
// each in builtin.cpp; what this build or machine lacks is an error that says so.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

struct ProcessOptions {
    std::vector<Port> ports;  // as given to NetControl
    std::uint32_t paths = 1;
    bool verify = false;  // a CRC over what is carried, where the transport can
};
struct ProcessEndpoint {
    std::unique_ptr<Endpoint> endpoint;
    /// After control.meet(), by all ranks; empty: nothing to do.
    std::function<Status()> assemble;
};

/// "tcp", "verbs", "mpi": before control.meet(); `control` outlives the endpoint. ConfigError for
/// another name.
[[nodiscard]] Outcome<ProcessEndpoint> make_process_endpoint(const std::string& transport,
                                                             NetControl& control,
                                                             const ProcessOptions& options);
/// Their names.
[[nodiscard]] const std::vector<std::string>& process_transports();

}  // namespace weft::live
