#pragma once
// A file of failures: YAML, one line of text each (topology/failure.hpp).
//
//     convergence: 5ms          # where a line says none; default: the caller's
//     failures:
//       - down host[0].nic[0]:0 > tor[0] @2ms for 5ms
//       - loss tor[3] > agg[0] share 0.01% one-way
// Leaves out: anything that is not a list of lines. Errors name file, line and key.
#include <string>
#include <vector>

#include "topology/failure.hpp"

namespace weft {

/// `file` is for messages only.
[[nodiscard]] std::vector<Failure> read_failures(const Fabric& fabric, const std::string& text,
                                                 const std::string& file,
                                                 SimDuration convergence = {});

}  // namespace weft
