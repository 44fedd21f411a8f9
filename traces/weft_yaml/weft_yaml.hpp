#pragma once
// Weft's own workload: what a person writes to say what a job does. traces/README.md explains the
// keys; traces/samples/ has one.
//
//   workload: name            world: 64
//   groups:  {TP: {size: 8}, DP: {size: 8, stride: 8}}
//   stages:  [{ranks: 0-63, ops: [{compute: 900us}, {collective: allreduce, group: TP, size:
//   64MiB}]}]
//
// An op waits for the one before it unless `after` names others; nothing waits for an op that is
// `async: true`, nor for a send, unless by name. Every value has a unit. Bounded: size, depth,
// repeats. Leaves out: pipeline schedules by name (write the repeats), data-dependent flow.
#include <string_view>

#include "traces/load.hpp"

namespace weft::weft_yaml {

/// A line that starts with "workload:".
[[nodiscard]] bool recognises(std::string_view text);
[[nodiscard]] Workload read(const TraceText& trace, const LoadOptions& options);

}  // namespace weft::weft_yaml
