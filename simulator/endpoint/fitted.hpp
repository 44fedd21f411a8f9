#pragma once
// Fitted: whether a machine's figures were fitted to anything like what is run.
//
// Models: the ranges of hosts and sizes of the curves that a profile was fitted to, apart for each
// collective, and for one host and several. A size counts as beyond from twice outside the range,
// hosts from one more. Leaves out: which algorithm the curves ran, and hosts of another kind than
// the machine's. Says nothing of a profile that was fitted to nothing; its title says so.
#include <string>
#include <vector>

#include "simulator/endpoint/profile.hpp"

namespace weft {

struct Ran {
    Collective collective = Collective::kAllReduce;
    std::uint32_t hosts = 1;
    Bytes size;
};

/// "allreduce on 960 hosts (fitted on 2 to 4), alltoall of 8 B (fitted from 16 MiB)"; empty when
/// everything lies inside.
[[nodiscard]] std::string beyond_fit(const MachineProfile& m, const std::vector<Ran>& ran);
/// Widens the profile's ranges by a curve that it was fitted to.
void add_fitted(MachineProfile& m, const Ran& smallest, const Ran& largest);

}  // namespace weft
