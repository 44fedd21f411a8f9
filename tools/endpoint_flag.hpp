#pragma once
// --endpoint, as all subcommands that simulate have it.
#include "simulator/scenario.hpp"
#include "tools/flags.hpp"

namespace weft::tools {

inline constexpr const char* kEndpoints =
    "calibrated: launch and steps as a machine was measured; detailed: each mechanism by itself, "
    "fitted to nothing; ideal: nothing";

[[nodiscard]] inline EndpointModel pick_endpoint(const std::string& name) {
    return pick<EndpointModel>("--endpoint", name,
                               {{"calibrated", EndpointModel::kCalibrated},
                                {"detailed", EndpointModel::kDetailed},
                                {"ideal", EndpointModel::kIdeal}});
}

}  // namespace weft::tools
