#include "simulator/execute/planner.hpp"

#include <fmt/format.h>

#include "base/rng.hpp"
#include "collectives/algorithms/algorithm.hpp"

namespace weft {

bool Planner::brings(Collective kind, const GroupShape& shape) const {
    return library_.plan != nullptr && library_.plan->collective == kind &&
           library_.plan->n == shape.n;
}

std::vector<std::string> Planner::candidates(Collective kind, const GroupShape& shape) const {
    const bool one_level = !shape.uniform || shape.per_host == 1 || shape.hosts == 1;
    const std::string prefix = fmt::format("{}/", name_of(kind));
    if (brings(kind, shape) && library_.plan->algorithm.rfind(prefix, 0) == 0)
        return {library_.plan->algorithm.substr(prefix.size())};
    std::vector<std::string> names;
    for (const auto& row : builtin_algorithms().rows()) {
        if (row.make.collective != kind) continue;
        const std::string name = row.info.name.substr(prefix.size());
        if (name == library_.algorithm) return {name};
        if (row.make.on_request) continue;
        // On one level these are the first row's algorithm under another name.
        if (!names.empty() && one_level && (name == "hierarchical" || name == "rail")) continue;
        names.push_back(name);
    }
    return names;
}

const PlannedCollective& Planner::plan(Collective kind, const std::string& algorithm,
                                       const GroupShape& shape) {
    const std::string key = fmt::format("{} {} {} {} {} {}", name_of(kind), algorithm, shape.n,
                                        shape.uniform, shape.per_host, shape.hosts);
    std::unique_ptr<PlannedCollective>& slot = made_[key];
    if (slot) return *slot;
    slot = std::make_unique<PlannedCollective>();
    slot->plan = brings(kind, shape)
                     ? *library_.plan
                     : build_plan(kind, algorithm, shape,
                                  {.channels = library_.channels,
                                   .ring_walk = uses_pxn(library_) ? RingWalk::kSameWay
                                                                   : RingWalk::kAlternating});
    slot->key = hash_text(key);
    return *slot;
}

}  // namespace weft
