#pragma once
// A dual-plane fabric of network namespaces on this machine, while the object lives: hosts NAME-0,
// NAME-1, ... with the NICs r0p0, r1p0, r0p1, r1p1 (rail, plane), each shaped to one rate in either
// direction (fabric.sh, which this program carries, says how). Root, `ip`, `tc` and `bash`.
// A child process holds it and takes it down when this process ends, however that ends.
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

#include "traces/measurements/embedded.hpp"

namespace weft {

/// fabric.sh as text inside the program.
[[nodiscard]] std::vector<EmbeddedFile> embedded_fabric_script();

}  // namespace weft

namespace weft::tools {

class NamespaceFabric {
  public:
    /// std::runtime_error says in one line why there can be none here.
    NamespaceFabric(std::string name, std::uint32_t hosts, std::uint32_t mbit);
    ~NamespaceFabric();
    NamespaceFabric(const NamespaceFabric&) = delete;
    NamespaceFabric& operator=(const NamespaceFabric&) = delete;

  private:
    [[nodiscard]] std::string first_line();
    void end();

    pid_t holder_ = -1;
    int to_ = -1;
    int from_ = -1;
};

}  // namespace weft::tools
