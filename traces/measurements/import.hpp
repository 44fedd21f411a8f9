#pragma once
// Measured output as it comes: nccl-tests with or without NCCL's own log, OSU Micro-Benchmarks,
// CSV, or Weft's YAML. The format is told from the content.
//
// A log seldom says all of a setup. What it says is filled in; the rest comes from the hints, and
// the caller completes machine, host and network. Leaves out: nccl-tests' JSON and -F files.
#include <optional>
#include <string>
#include <vector>

#include "traces/measurements/measurement.hpp"

namespace weft {

/// What the caller knows and a log may not say; these win over the log.
struct ImportHints {
    std::optional<Collective> collective;
    std::uint32_t hosts = 0;          // 0: as the log says
    std::uint32_t gpus_per_host = 0;  // 0: as the log says
};

/// "AllReduce: 2097152 Bytes -> Algo NVLS proto SIMPLE": what NCCL's log says it chose.
struct LoggedChoice {
    std::string collective;  // "AllReduce"; empty where the version does not print it
    Bytes size;
    std::string algorithm;  // lower case: "ring", "tree", "nvls", "nvlstree", ...
    std::string protocol;   // "ll", "ll128", "simple"
    SimDuration predicted;  // NCCL's own estimate; 0 where not printed
    int channels = 0;       // 0 where not printed
    int line = 0;
};

/// What NCCL_DEBUG=INFO says of the communicator; zeros and empty where it is silent.
struct NcclFacts {
    std::string version;  // "2.26.2"
    std::uint32_t ranks = 0;
    std::uint32_t hosts = 0;
    int channels = 0;       // for collectives
    int nvls_channels = 0;  // of them with reduction in the NVSwitch
    int p2p_channels = 0;
    bool rings = false;  // "Connected all rings"
    bool trees = false;
    bool nvls = false;
    std::vector<LoggedChoice> choices;  // each (collective, size) once, in the log's order
};

struct Imported {
    std::string format;  // "nccl-tests", "osu", "csv", "measurements"
    std::vector<MeasuredCase> cases;
    NcclFacts nccl;
    std::vector<std::string> notes;  // what was skipped, a sentence each
};

/// `file` is for messages. Throws ConfigError of one line: file, line, found, expected.
[[nodiscard]] Imported import_measurements(const std::string& text, const std::string& file,
                                           const ImportHints& hints = {});
[[nodiscard]] Imported load_import(const std::string& path, const ImportHints& hints = {});

}  // namespace weft
