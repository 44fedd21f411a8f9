#pragma once
// PyTorch profiler (Kineto) traces: one rank's Chrome-trace JSON, made a Workload that all ranks
// run.
//
// Models: one step of one rank. Kernels of collectives become CollectiveOps with their measured
// durations; all other time of the step is compute, cut where a collective starts, except where the
// GPU computes nothing and resumes once a collective has ended: there it waited for it. The step
// time is that of the ProfilerStep annotations. Leaves out: pipeline stages (send and recv: one
// rank's trace does not show the others), several files, dependencies that timing does not show,
// waiting for peers inside a kernel's duration. Source: Kineto's output_json.cpp and ActivityType,
// PyTorch's profiler_kineto (metadata keys), as of their public snapshots.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "traces/load.hpp"
#include "traces/torch/torch.hpp"
#include "traces/workload.hpp"

namespace weft::kineto {

struct Comm {
    std::string name;  // "_allgather_base"
    Collective kind = Collective::kAllReduce;
    Bytes size;  // nccl-tests total
    std::string group;
    std::string description;
    torch::Ranks ranks;
    std::uint32_t group_size = 1;
};

/// Times in ns on the trace's own clock.
struct Kernel {
    std::int64_t start = 0;
    std::int64_t end = 0;
    std::optional<Comm> comm;  // none: compute, copies
};

struct Step {
    std::string name;  // "ProfilerStep#7"
    std::int64_t start = 0;
};

struct Trace {
    std::uint32_t rank = 0;
    std::uint32_t world = 0;  // 0: not said
    std::vector<Kernel> kernels;
    std::vector<Step> steps;  // by start
    bool steps_on_gpu = false;
};

[[nodiscard]] bool recognises(std::string_view text);
[[nodiscard]] Trace parse(const TraceText& trace);
[[nodiscard]] Workload make_workload(const Trace& t, const std::string& file,
                                     const LoadOptions& options);
[[nodiscard]] Workload read(const TraceText& trace, const LoadOptions& options);

}  // namespace weft::kineto
