#pragma once
// summarize: what the Network counted and recorded, as a Result shows it: named ports, worst first,
// and only as many as people read.
#include "simulator/packet/network.hpp"
#include "traces/results.hpp"

namespace weft::packet {

/// Completions are the caller's to add.
[[nodiscard]] PacketSummary summarize(const Fabric& fabric, const Network& network);

}  // namespace weft::packet
