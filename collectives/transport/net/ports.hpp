#pragma once
// NIC ports of this host by name: addresses from the kernel, rate and NUMA node from sysfs, rail
// and plane from the text or from the interface's own name.
#include <string>
#include <vector>

#include "collectives/transport/net/net_control.hpp"

namespace weft::live {

/// "r0p0,r1p0", "eth0:0:0,eth1:1:0" (interface:rail:plane). Without rail and plane: those of a name
/// like r1p0, else rail = position in the list, plane 0. A numeric address stands for itself.
/// ConfigError: an interface that is not there, is down, or has no address.
[[nodiscard]] std::vector<Port> find_ports(const std::string& interfaces);

}  // namespace weft::live
