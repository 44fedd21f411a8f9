#pragma once
// What was measured and published: curves of collective time against size, and decisions.
//
// A case is one curve with the exact machines, library and source it comes from; every point is
// kept as a time. A rate becomes one by time = size x factor / busbw, with the factor of nccl-tests
// (2(n-1)/n for all-reduce, also where the reduction ran inside the NVSwitch: the tool prints it
// so). A decision is a published "A was faster than B", for checking rank order.
// `use` splits by machine generation and scale, never by row of a curve.
// Leaves out: how a case is simulated, and any figure that no source states.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"
#include "collectives/plan/plan.hpp"

namespace weft {

struct MeasuredPoint {
    Bytes size;        // as nccl-tests counts it: the whole array
    SimDuration time;  // the middle of the range where the source gives one
    SimDuration low;   // the shortest and the longest time the source gives; equal to `time`
    SimDuration high;  // where it gives one value
    int line = 0;      // in the file
};

enum class Use : std::uint8_t {
    kFit,        // a model may be calibrated on it
    kTest,       // only predicted
    kSimulated,  // numbers of another simulator, not of hardware: compared, counted nowhere
};
[[nodiscard]] const char* name_of(Use use);  // "fit", "test", "simulated"

/// What ran where: enough to run it again.
struct MeasuredSetup {
    std::string machine;  // the profile that should predict it: "h100"
    std::string host;     // the host template: "dgx-h100"
    std::uint32_t hosts = 1;
    std::uint32_t gpus_per_host = 1;
    std::string network = "none";  // "none" for one host, else "rail-switches", "efa", ...
    Collective collective = Collective::kAllReduce;
    std::string library;         // "nccl-2.18"; "nccl" where the source names no version
    std::string algorithm;       // the one forced, lower case; empty: the library chose
    bool nvls = false;           // the reduction could run inside the NVSwitches
    std::uint32_t segments = 0;  // hosts split evenly over so many; 0: packed
    bool each_rail = false;      // gpus_per_host at once, each over one GPU of every host
    bool graph = false;          // launched from a CUDA graph: the time has no launch of a kernel

    bool operator==(const MeasuredSetup&) const = default;
    /// Ranks of one collective.
    [[nodiscard]] std::uint32_t ranks() const { return each_rail ? hosts : hosts * gpus_per_host; }
};

struct MeasuredCase : MeasuredSetup {
    std::string id;  // unique: letters, digits, '-' and '.'
    std::string title;
    std::string source;  // short name, and the place in it
    std::string tag;     // S: read in the source; S2: in a summary of it; D: derived from it
    Use use = Use::kTest;
    std::vector<std::string> notes;     // what was assumed
    std::string why;                    // what is known of why a prediction misses it
    std::vector<MeasuredPoint> points;  // sizes ascending
    std::string file;
    int line = 0;
};

/// One side of a decision.
struct Choice : MeasuredSetup {
    std::string what;  // "NVLS"
    std::string run;   // how Weft would run it, in words
};

/// "A was faster than B by this ratio".
struct Decision {
    std::string id, title, source, tag;
    Choice a, b;
    Bytes size;  // at which it was measured; 0: the source does not say
    enum Faster : std::uint8_t { kA, kB, kEqual } faster = kA;
    /// Time of the slower over time of the faster, as published; both 0 where only the order is.
    double ratio_low = 0, ratio_high = 0;
    bool simulated = false;  // decided by another simulator
    bool step = false;       // decided on a training step, not on the collective alone
    std::vector<std::string> notes;
    std::string why;  // as of a case
    std::string file;
    int line = 0;
};

struct Measurements {
    std::vector<MeasuredCase> cases;
    std::vector<Decision> decisions;
};

/// `file` is for messages. Throws ConfigError.
[[nodiscard]] Measurements read_measurements(const std::string& text, const std::string& file);
[[nodiscard]] Measurements load_measurements(const std::string& path);
/// Every file of traces/measurements/data, in the order of their names; part of the program.
[[nodiscard]] Measurements builtin_measurements();
/// nullptr when there is none of that id.
[[nodiscard]] const MeasuredCase* find_case(const Measurements& all, std::string_view id);

/// nccl-tests' bus bandwidth of a time, and the time of a bus bandwidth (rounded up to 1 ps).
[[nodiscard]] Bandwidth busbw_of(Collective c, std::uint32_t ranks, Bytes size, SimDuration time);
[[nodiscard]] SimDuration time_of_busbw(Collective c, std::uint32_t ranks, Bytes size,
                                        Bandwidth busbw);

}  // namespace weft
