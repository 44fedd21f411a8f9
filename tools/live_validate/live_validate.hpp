#pragma once
// weft validate --live: collectives run live over a fabric of network namespaces, and the Plans
// that they ran simulated on the Fabric that describes it; the error per size.
//
// Every rank says the hash of the Plan that it ran; that Plan is rebuilt here (prediction.hpp),
// held against the hash, and simulated. Live is the median of the iterations, each as long as its
// slowest rank. Leaves out: other fabrics than a dual-plane one of one rank a host.
#include <cstdint>
#include <string>
#include <vector>

namespace weft::tools {

struct LiveValidation {
    std::uint32_t hosts = 4;
    std::string rate = "250Mbps";  // of a NIC, either direction
    std::string take;              // namespaces that are there: TAKE-0, ...; empty: make them
    std::vector<std::string> collectives{"allreduce", "allgather", "reducescatter", "alltoall",
                                         "broadcast"};
    std::vector<std::string> sizes{"4MiB", "16MiB", "64MiB"};
    std::uint32_t warmup = 1;
    std::uint32_t iterations = 5;
    std::string within;       // of each row; empty: not judged
    std::string mean_within;  // of all rows' mean
    bool json = false;
};

/// Runs, prints, judges; the exit status.
[[nodiscard]] int validate_live(const LiveValidation& v);

}  // namespace weft::tools
