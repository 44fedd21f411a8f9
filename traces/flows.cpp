#include "traces/flows.hpp"

#include <fmt/format.h>

#include "base/result.hpp"

namespace weft {

void check_ends(const FlowSet& set, std::size_t gpus) {
    for (std::size_t f = 0; f < set.flows.size(); ++f) {
        const FlowSpec& flow = set.flows[f];
        if (flow.src != flow.dst && flow.src.index() < gpus && flow.dst.index() < gpus) continue;
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = fmt::format("flow {}", f),
                           .found = fmt::format("{} to {}", flow.src.value(), flow.dst.value()),
                           .expected = fmt::format("two of the fabric's {} GPUs", gpus),
                           .example = "--fabric fat_tree_1024_1os.topo"});
    }
}

}  // namespace weft
