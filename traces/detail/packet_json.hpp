#pragma once
// What a Result's JSON has of packets.
#include <nlohmann/json.hpp>

#include "traces/results.hpp"

namespace weft {

[[nodiscard]] nlohmann::json packets_json(const PacketSummary& p);

}  // namespace weft
