#pragma once
// The families of fabrics. One family = one file here and one row in builtin.cpp; the row declares
// the parameters, and the CLI, the YAML reader, the tests and the listings read them from it.
#include "base/parameters.hpp"
#include "base/registry.hpp"
#include "topology/fabric.hpp"
#include "topology/host/host.hpp"

namespace weft {

using FabricFactory = Fabric (*)(const Parameters& p);
using FabricRegistry = Registry<FabricFactory>;

/// All families, in the order of listings.
[[nodiscard]] const FabricRegistry& fabric_families();

/// Builds one family. ConfigError for an unknown name, key or value.
[[nodiscard]] Fabric make_fabric(const std::string& family, const KeyValues& given = {});

/// "hpn7", "hpn7:segments=2,mode=single-plane".
[[nodiscard]] Fabric make_fabric_from_text(const std::string& text, const KeyValues& more = {});

/// Parameters of the host that several families share, to append to their own.
[[nodiscard]] std::vector<Parameter> host_parameters(const std::string& scale_up_rate,
                                                     const std::string& port_rate);
/// The template those parameters describe.
[[nodiscard]] HostTemplate host_of(const Parameters& p);

/// `count` switches like `proto`, indices from proto.index on.
std::vector<NodeId> add_switches(FabricBuilder& b, Node proto, int count);

/// `uplinks` cables from each of `lower` to `upper`; cable g, counted over all of them, goes to
/// switch g mod |upper|, so that no upper switch has more than one cable more than another.
void connect_tiers(FabricBuilder& b, const std::vector<NodeId>& lower, int uplinks,
                   const std::vector<NodeId>& upper, Bandwidth rate, SimDuration latency);

}  // namespace weft
