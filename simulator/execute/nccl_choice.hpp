#pragma once
// What a library of NCCL's decides for a group: its tuner, told what the fabric says of the group.
//
// Models: the machine that collectives/select wants, read off the members' GPUs; the Plan that
// carries each choice: ring, tree, nvls and nvls-tree as those of their names (broadcast's ring is
// a chain), PAT as the ring. Leaves out: point to point, for which NCCL predicts nothing: the
// cheaper of direct and rail-aligned, as Weft itself decides; channels, which the Plan keeps its
// own number of; groups of unequal parts of hosts count as even.
#include <optional>
#include <string>
#include <vector>

#include "collectives/select/nccl.hpp"
#include "simulator/scenario.hpp"

namespace weft {

[[nodiscard]] nccl::Machine nccl_machine(const Scenario& s, const std::vector<RankId>& group);

/// The tuner of a group; none where the library is not one of NCCL's, or is told to run an
/// algorithm that NCCL has not.
[[nodiscard]] std::optional<nccl::Tuner> nccl_tuner(const Scenario& s,
                                                    const std::vector<RankId>& group);

/// The algorithm of Weft that carries NCCL's; none where Weft decides itself.
[[nodiscard]] std::optional<std::string> carrier_of(Collective kind, nccl::Algorithm a);

}  // namespace weft
