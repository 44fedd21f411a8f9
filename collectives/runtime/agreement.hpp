#pragma once
// Faults in words: which rank gave up and why, or what two ranks do not agree on.
#include "base/result.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

[[nodiscard]] LiveError explain(const Fault& fault, std::uint32_t rank);

}  // namespace weft::live
