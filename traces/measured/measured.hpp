#pragma once
// Measured times beside a trace that has no place for them: read from a file, laid on a Workload.
//
// Three forms, told from the content: Weft's YAML (`measured:`), CSV rows
// group,collective,size,time, and the result.json of an earlier run. A row is the mean time of all
// collectives (or messages) of one family, kind and size, from the arrival of the last member to
// the end. Leaves out: times of single ops, the spread around a mean.
#include <cstdint>
#include <string>
#include <vector>

#include "traces/load.hpp"
#include "traces/workload.hpp"

namespace weft {

struct MeasuredRow {
    std::string family;  // "TP"
    Collective kind = Collective::kAllReduce;
    Bytes size;  // nccl-tests total
    SimDuration time;
    int line = 0;  // in the file; 0: the form has none
};

struct MeasuredTimes {
    std::string file;
    Measured step;
    std::vector<MeasuredRow> rows;
};

/// ConfigError when it is none of the forms, or holds nothing.
[[nodiscard]] MeasuredTimes read_measured(const TraceText& file);
[[nodiscard]] MeasuredTimes load_measured(const std::string& path);

/// Lays the times on the ops that they name, over those that the trace itself has. A row that no op
/// answers to is a ConfigError: it is a typing error, or the file of another job.
void apply(const MeasuredTimes& times, Workload& w);

}  // namespace weft
