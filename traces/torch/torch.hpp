#pragma once
// What the records of PyTorch share: names of collectives and element types, and process groups,
// of which one rank names only its own.
//
// Models: a group whose ranks are evenly spaced stands for all groups of its family (SPMD): the
// others are it, shifted. Leaves out: groups that are not evenly spaced, and groups cut short whose
// size is not said. Sources: PyTorch c10/core/ScalarType.h, ProcessGroupNCCL (names), Kineto's
// output_json (keys).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "traces/workload.hpp"

namespace weft::torch {

/// Of "allreduce", "_allgather_base", "nccl:all_to_all" ...; none for what Workload has not
/// (send, recv). A barrier is the all-reduce that it is run as.
[[nodiscard]] std::optional<Collective> collective_of(const std::string& name);
/// A message and no collective: "send", "nccl:recv 0<-1".
[[nodiscard]] bool is_message(const std::string& name);
/// Bytes of "BFloat16", "Float" ...; 0 when unknown.
[[nodiscard]] std::int64_t element_bytes(const std::string& type);

struct Ranks {
    std::vector<std::uint32_t> listed;
    bool cut = false;                   // the text leaves some out: "..."
    std::optional<std::uint32_t> last;  // of a text that was cut, where it says so
};
/// Of "[0, 8, 16]", "[0, 1, ...]" or "[0, 1, ..., 31]"; none when it is no such text.
[[nodiscard]] std::optional<Ranks> parse_ranks(const std::string& text);

/// The rule by which the group of `size` ranks that holds `rank` is one of equal ones in `world`;
/// none when there is no such rule.
[[nodiscard]] std::optional<Partition> rule_of(const Ranks& ranks, std::uint32_t size,
                                               std::uint32_t rank, std::uint32_t world);

}  // namespace weft::torch
