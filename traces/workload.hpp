#pragma once
// Workload: what a training or inference job does, as programs of compute and communication.
//
// Many ranks run one program (SPMD): a pipeline stage is one program, and a group family says with
// whom a rank talks. Rules, not lists: 9216 ranks of 12 stages are 12 programs and 5 families.
// Execution semantics (simulator/execute): an op may start when all its `after` ops are done and it
// is the head of its queue. Queues per rank, each in program order: one for compute, one per
// family for collectives (an in-order communicator), one per (family, offset) for sends and one for
// receives. A collective starts when every member of the group has reached it.
// Leaves out: memory, kernels (the endpoint prices launches), data-dependent control flow.
// Units: Bytes as nccl-tests' total size; SimDuration for compute.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "collectives/plan/plan.hpp"

namespace weft {

/// The groups of one kind ("TP", "DP", "EP", "PP"): every world rank is in exactly one of them.
/// The Partition's rule gives group (cell) and group rank (position).
struct GroupFamily {
    std::string name;
    Partition groups;
};

enum class Phase : std::uint8_t { kForward, kBackwardInput, kBackwardWeight, kStep };

struct ComputeOp {
    SimDuration time;
};
struct CollectiveOp {
    Collective kind = Collective::kAllReduce;
    std::uint32_t family = 0;
    Bytes size;
};
/// To or from the member at (own position + offset) of the family's group; the group is a chain,
/// not a ring: an offset beyond the end is a fault of the workload. The i-th send to a peer meets
/// its i-th receive from here.
struct P2pOp {
    bool send = true;
    std::uint32_t family = 0;
    std::int32_t offset = +1;
    Bytes size;
};

struct Op {
    std::variant<ComputeOp, CollectiveOp, P2pOp> what;
    std::vector<std::uint32_t> after;  // indices of earlier ops of the same program
    std::uint32_t label = 0;           // index into Program::labels ("attention_column")
    std::int32_t microbatch = -1;
    Phase phase = Phase::kForward;
    /// Of a communication op: from its last member's arrival to its end on the machine that ran the
    /// job. 0: not measured. (The time of a ComputeOp is a measured one already.)
    SimDuration measured;
};

struct Program {
    std::string name;  // "stage 3"
    std::vector<std::string> labels;
    std::vector<Op> ops;
};

/// What was measured of one family on one rank of the job.
struct MeasuredFamily {
    std::string family;
    std::optional<SimDuration> total;    // in flight, waiting for other members included
    std::optional<SimDuration> exposed;  // of that, nothing computed
};

/// Measured times of the whole step, on the machine that ran the job; the defaults mean "not
/// measured". Nothing of it enters a simulation: it is what one is compared with
/// (simulator/trust).
struct Measured {
    std::optional<SimDuration> step;
    std::optional<SimDuration> compute;
    std::optional<SimDuration> bubble;
    std::vector<MeasuredFamily> families;
    std::string source;                  // "result.json of an earlier run"
    std::vector<std::string> unmatched;  // recorded, and in no op: "allreduce of 4 B over dp"
};

struct Workload {
    std::string name;
    std::uint32_t world = 1;
    std::vector<Program> programs;
    std::vector<std::uint32_t> program_of;  // by world rank
    std::vector<GroupFamily> families;
    bool has_compute = true;               // false: "compute: none in the trace", no exposure
    std::vector<std::string> assumptions;  // rank order, schedule, what the trace does not say
    std::string source;                    // file name and content hash
    Measured measured;                     // and Op::measured
};

/// Checks everything execution relies on: indices, group sizes dividing the world, program lengths,
/// chains not left, equal collectives in equal order on all members. Throws ConfigError.
void validate(const Workload& w);
/// "receive of 8 MiB over PP +1", for messages.
[[nodiscard]] std::string describe(const Workload& w, const Op& op);

}  // namespace weft
