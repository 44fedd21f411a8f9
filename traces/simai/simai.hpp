#pragma once
// SimAI / AICB workload text (ASTRA-sim 1.0 form): parsed as it stands, then made a Workload.
//
// The format: line 1 a policy and keys (tp, ep, pp, ga, all_gpus, pp_comm ...) in any order, line 2
// the number of layers, then one layer a line: name, dependency (always -1), and for forward, input
// gradient and weight gradient each a compute time in ns, a collective and its bytes; last an
// update time. Traps that real files hold and this reader takes: tabs or spaces; `pp_comm
// 50331648`, `pp_comm: 0`, `pp_comm: 6291456.0`; headers without world size or ep; NONE with a
// size; a count that is wrong; BROADCAST (old files; ignored as every reader does); a 13th column
// under HYBRID_CUSTOMIZED. What a file does not say (rank order, pipeline schedule, when
// once-per-step lines run) is decided in schedule.cpp and stated in Workload::assumptions. Leaves
// out: interleaved pipelines (vpp), recomputation (checkpoints), update times. Source: SimAI (NSDI
// 2025) and AICB sources, as of their public snapshots.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "traces/load.hpp"
#include "traces/workload.hpp"

namespace weft::simai {

enum class Group : std::uint8_t { kDefault, kEp, kDpEp };

struct Comm {
    Collective kind = Collective::kAllReduce;
    Group group = Group::kDefault;
    Bytes size;  // of the nccl-tests total; 0 bytes is never executed
};

/// One of the three columns of a layer: forward, input gradient, weight gradient.
struct Column {
    SimDuration compute;
    std::optional<Comm> comm;  // none: NONE, whatever its size
};

struct Layer {
    int line = 0;
    std::string name;
    std::array<Column, 3> columns;
};

struct Header {
    std::string policy;
    std::uint32_t tp = 1;
    std::uint32_t ep = 1;
    std::uint32_t pp = 1;
    std::uint32_t vpp = 0;
    std::uint32_t ga = 0;     // 0: not given
    std::uint32_t world = 0;  // 0: not given
    std::uint64_t checkpoints = 0;
    bool has_tp = false;
    bool has_pp_comm = false;
    Bytes pp_comm;  // per rank, per micro-batch and boundary
    int line = 1;
};

struct File {
    Header header;
    std::uint64_t declared_layers = 0;
    std::vector<Layer> layers;
    std::uint64_t ignored_broadcasts = 0;
    std::uint64_t own_policies = 0;  // layers with a 13th column
};

[[nodiscard]] bool recognises(std::string_view text);
[[nodiscard]] File parse(const TraceText& trace);
[[nodiscard]] Workload make_workload(const File& f, const std::string& file,
                                     const LoadOptions& options);
[[nodiscard]] Workload read(const TraceText& trace, const LoadOptions& options);

}  // namespace weft::simai
