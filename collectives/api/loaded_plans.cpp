#include "collectives/api/loaded_plans.hpp"

#include <fmt/format.h>

#include "base/rng.hpp"
#include "collectives/plan/io/plan_json.hpp"

namespace weft::live {

LoadedPlan::LoadedPlan(const std::string& text, std::uint64_t least, std::uint64_t most,
                       const GroupShape& shape)
    : least_(least), most_(most) {
    if (least > most)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "most_bytes",
                           .found = std::to_string(most),
                           .expected = fmt::format("{} (least_bytes) or more", least),
                           .example = "SIZE_MAX"});
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && text[first] == '{') {
        data_ = proved_plan_from_json(text);
        if (data_->n != shape.n)
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = "ranks",
                               .found = std::to_string(data_->n),
                               .expected = fmt::format("{}, as the communicator has", shape.n),
                               .example = std::to_string(shape.n)});
    } else {
        spec_ = parse_plan_spec(text);
    }
    const std::uint64_t hash = build(shape, data_ ? data_->root : 0).hash();
    digest_ = std::max<std::uint64_t>(1, mix64(mix64(hash, least), most));
}

bool LoadedPlan::fits(Collective collective, std::uint64_t bytes, std::uint32_t root) const {
    if (bytes < least_ || bytes > most_) return false;
    if (!data_) return spec_.collective == collective;
    return data_->collective == collective && (!rooted(collective) || data_->root == root);
}

PlanTemplate LoadedPlan::build(const GroupShape& shape, std::uint32_t root) const {
    if (data_) return *data_;
    AlgorithmParams params = spec_.params;
    params.root = root;
    PlanTemplate plan = build_plan(spec_.collective, spec_.algorithm, shape, params);
    for (Channel& c : plan.channels) c.rail = c.plane = -1;
    return plan;
}

std::string LoadedPlan::why() const {
    return fmt::format("loaded for {} to {} bytes, {}", least_, most_,
                       data_ ? "as data, proved" : "by name");
}

}  // namespace weft::live
