#include "traces/synth/synth.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/result.hpp"

namespace weft {
namespace {

Program one_op_program(const CollectiveOp& op) {
    Program p;
    p.name = "all ranks";
    p.labels = {name_of(op.kind)};
    Op only;
    only.what = op;
    only.phase = Phase::kStep;
    p.ops.push_back(only);
    return p;
}

Partition everyone(std::uint32_t world, std::uint32_t stride) {
    Partition groups;
    groups.size = world / stride;
    groups.stride = stride;
    return groups;
}

SimDuration compute_time(std::uint64_t flop, std::uint64_t flop_per_s) {
    const Int128 ps = ceil_div(Int128{flop} * 1'000'000'000'000, Int128{flop_per_s});
    return SimDuration{static_cast<std::int64_t>(ps)};
}

}  // namespace

Workload strided_collectives(Collective kind, Bytes size, std::uint32_t world,
                             std::uint32_t stride) {
    if (stride == 0 || world == 0 || world % stride != 0)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "gpus",
                           .found = std::to_string(world),
                           .expected = fmt::format("a positive multiple of {}", stride),
                           .example = std::to_string(stride * 8)});
    Workload w;
    w.name = fmt::format("{}{} of {}", stride > 1 ? "multi-" : "", name_of(kind), to_string(size));
    w.world = world;
    w.programs.push_back(one_op_program({.kind = kind, .family = 0, .size = size}));
    w.program_of.assign(world, 0);
    w.families.push_back({stride > 1 ? "rail" : "all ranks", everyone(world, stride)});
    w.has_compute = false;
    w.source = "made by rule";
    return w;
}

Workload one_collective(Collective kind, Bytes size, std::uint32_t world) {
    return strided_collectives(kind, size, world, 1);
}

std::uint64_t DecoderModel::parameters() const {
    return layers * (4 * hidden * hidden + 3 * hidden * ffn) + 2 * vocabulary * hidden;
}

std::uint64_t DecoderModel::forward_flop() const {
    return 2 * parameters() * sequence + 2 * layers * sequence * sequence * hidden;
}

Workload data_parallel_training(const DataParallelJob& job) {
    WEFT_CHECK(job.world > 0 && job.microbatches > 0 && job.buckets > 0 && job.flop_per_s > 0,
               "world {}, {} micro-batches, {} buckets", job.world, job.microbatches, job.buckets);
    Workload w;
    w.name = fmt::format("{} data parallel, {} micro-batches", job.model.name, job.microbatches);
    w.world = job.world;
    w.program_of.assign(job.world, 0);
    w.families.push_back({"DP", everyone(job.world, 1)});
    w.source = "made by rule";
    w.assumptions = {
        fmt::format(
            "{} buckets of equal size, each all-reduced as soon as the last backward pass has "
            "produced it",
            job.buckets),
        "the optimiser takes no time"};

    Program p;
    p.name = "all ranks";
    p.labels = {"forward", "backward", "gradient bucket"};
    const auto compute = [&](std::uint64_t flop, std::uint32_t label, std::uint32_t microbatch) {
        Op op;
        op.what = ComputeOp{compute_time(flop, job.flop_per_s)};
        op.label = label;
        op.microbatch = static_cast<std::int32_t>(microbatch);
        op.phase = label == 0 ? Phase::kForward : Phase::kBackwardInput;
        p.ops.push_back(op);
    };
    const std::uint64_t forward = job.model.forward_flop();
    const std::uint64_t gradient = job.model.parameters() * job.gradient_bytes;
    for (std::uint32_t m = 0; m + 1 < job.microbatches; ++m) {
        compute(forward, 0, m);
        compute(2 * forward, 1, m);
    }
    compute(forward, 0, job.microbatches - 1);
    for (std::uint32_t b = 0; b < job.buckets; ++b) {
        const auto part = [&](std::uint64_t whole) {
            return whole * (b + 1) / job.buckets - whole * b / job.buckets;
        };
        compute(part(2 * forward), 1, job.microbatches - 1);
        Op reduce;
        reduce.what = CollectiveOp{Collective::kAllReduce, 0,
                                   Bytes{static_cast<std::int64_t>(part(gradient))}};
        reduce.after = {static_cast<std::uint32_t>(p.ops.size() - 1)};
        reduce.label = 2;
        reduce.phase = Phase::kBackwardWeight;
        p.ops.push_back(reduce);
    }
    w.programs.push_back(std::move(p));
    return w;
}

}  // namespace weft
