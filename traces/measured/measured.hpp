#pragma once
// Measured times beside a trace that has no place for them: read from a file, laid on a Workload.
//
// Five forms, told from the content: Weft's YAML (`measured:`), CSV rows
// group,collective,size,time, the result.json of an earlier run, PyTorch's NCCL flight recorder as
// JSON, and the logs of NCCL's Inspector plug-in. A row is the mean time of all collectives (or
// messages) of one family, kind and size, from the arrival of the last member to the end. Recorders
// name communicators and not families: a family is found by its members, or by its size and what it
// runs. Leaves out: times of single ops, the spread around a mean, messages in the two recorders.
// Sources: PyTorch FlightRecorder (dump_json), NCCL ext-profiler/inspector, as of their public
// snapshots.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "traces/load.hpp"
#include "traces/workload.hpp"

namespace weft {

/// A communicator of a record, to be found among the workload's groups.
struct MeasuredGroup {
    std::string name;                  // "default_pg", or what the job called it
    std::uint32_t size = 0;            // members
    std::vector<std::uint32_t> ranks;  // by world rank; empty: the record does not say
};

struct MeasuredRow {
    std::string family;  // "TP"; of a record: see group
    Collective kind = Collective::kAllReduce;
    Bytes size;  // nccl-tests total
    SimDuration time;
    int line = 0;                        // in the file; 0: the form has none
    std::int64_t count = 1;              // collectives that the mean is of
    std::optional<std::uint32_t> group;  // of a record: index into MeasuredTimes::groups
};

struct MeasuredTimes {
    std::string file;
    Measured step;
    std::vector<MeasuredRow> rows;
    std::vector<MeasuredGroup> groups;
    std::string note;  // how it was measured: "flight recorder of 1 rank"; may be empty
};

/// ConfigError when it is none of the forms, or holds nothing.
[[nodiscard]] MeasuredTimes read_measured(const TraceText& file);
[[nodiscard]] MeasuredTimes load_measured(const std::string& path);

/// Lays the times on the ops that they name, over those that the trace itself has. A row that no op
/// answers to is a ConfigError: it is a typing error, or the file of another job. Of a record,
/// which holds barriers and more, it is listed in Measured::unmatched, unless all are such.
void apply(const MeasuredTimes& times, Workload& w);

}  // namespace weft
