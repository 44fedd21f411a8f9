#pragma once
// What went wrong between ranks, in words: which rank gave up and why, what two ranks do not agree
// on, who is absent and where it is instead.
#include <string>
#include <vector>

#include "base/result.hpp"
#include "collectives/transport/control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

/// As `rank` is told of it.
[[nodiscard]] LiveError explain(const Alarm& alarm, std::uint32_t rank);
[[nodiscard]] LiveError explain(const Fault& fault, std::uint32_t rank);
/// "not arrived: rank 2 (late: in no operation for 1.2 s), rank 3 (dead)"; "all ranks have
/// arrived".
[[nodiscard]] std::string explain(const std::vector<Absent>& absent);
/// "late: in no operation for 1.2 s".
[[nodiscard]] std::string whereabouts(const Absent& absent);
/// "allreduce 7 of communicator 0".
[[nodiscard]] std::string describe(const OperationHead& head);

}  // namespace weft::live
