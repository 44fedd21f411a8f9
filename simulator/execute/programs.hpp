#pragma once
// Programs: a Workload compiled for execution: queues, dependencies, and what each op asks of which
// set of groups. Models the queues of traces/workload.hpp. Leaves out: time.
#include <cstdint>
#include <map>
#include <vector>

#include "traces/workload.hpp"

namespace weft {

/// The groups of one family that run collectives, or the pairs (p, p + offset) of its chains that
/// send. One communicator in order for a set of groups; a send and a receive queue for pairs.
struct SetKey {
    std::uint32_t family = 0;
    std::int32_t offset = 0;  // 0: collectives
    auto operator<=>(const SetKey&) const = default;
};

/// One kind of collective (or message) of one size over a set: all its runs cost the same.
struct Exchange {
    std::uint32_t set = 0;
    Collective kind = Collective::kAllReduce;
    Bytes size;
};

struct CompiledOp {
    enum class Kind : std::uint8_t { kCompute, kCollective, kSend, kReceive };
    Kind kind = Kind::kCompute;
    std::uint32_t exchange = 0;  // index; not of a compute op
    SimDuration time;            // of a compute op
    std::uint32_t queue = 0;
    std::uint32_t next = 0;       // the next op of its queue; kNoOp at the end
    std::uint32_t waits_for = 0;  // number of `after`
    std::uint32_t first_follower = 0;
    std::uint32_t followers = 0;
};

inline constexpr std::uint32_t kNoOp = ~std::uint32_t{0};

struct CompiledProgram {
    std::vector<CompiledOp> ops;
    std::vector<std::uint32_t> followers;    // ops that wait for an op, flat
    std::vector<std::uint32_t> queue_heads;  // first op of every queue; kNoOp: none
};

/// Queue numbers: compute, then two a set (collectives or sends; receives).
[[nodiscard]] constexpr std::uint32_t queue_of_set(std::uint32_t set, bool receive = false) {
    return 1 + 2 * set + (receive ? 1 : 0);
}

struct CompiledWorkload {
    const Workload* source = nullptr;
    std::vector<SetKey> sets;
    std::vector<Exchange> exchanges;
    std::vector<CompiledProgram> programs;
    std::uint64_t ops = 0;
};

[[nodiscard]] CompiledWorkload compile(const Workload& w);

}  // namespace weft
