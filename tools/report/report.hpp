#pragma once
// What people and other tools read of a Result: the first screen of text, one self-contained HTML
// page, the trace-event file that Perfetto opens, and the file that says how the run was made.
//
// Models nothing: every number comes from the Result. Leaves out: raw data (result.json has it).
// The page has no script and needs no network; one file here draws one section of it.
#include <filesystem>
#include <string>
#include <vector>

#include "traces/results.hpp"

namespace weft::tools {

/// A Result and how to speak of it.
struct Report {
    const Result* result = nullptr;  // outlives the report
    std::string title;               // "gpt_13B.txt on hpn7"
    std::string subtitle;            // "64 ranks, library weft, ..."
    std::string trust;               // how far to believe it: the first line of everything
    bool marked = false;             // a number that the user was advised not to believe
};

[[nodiscard]] std::string html_report(const Report& r);
[[nodiscard]] std::string text_report(const Report& r);
/// A line for each band of the step time: which figures widen it most; empty without bands.
[[nodiscard]] std::string bands_text(const Result& r);
/// The table of the busiest links; empty when nothing crosses one.
[[nodiscard]] std::string links_text(const Result& r);
/// The table of min, p50, p90, p99 and max of many seeds; empty for one.
[[nodiscard]] std::string seeds_text(const Result& r);
/// JSON Array of the Trace Event Format (Perfetto, chrome://tracing): a process a rank, a thread a
/// queue.
[[nodiscard]] std::string trace_events(const Result& r);

/// One sentence: what a faster step would have to change first.
[[nodiscard]] std::string limit_of(const Result& r);

/// Writes all of a file or nothing: to a temporary beside it, then renamed. ConfigError when it
/// cannot (--out names a place that cannot be written).
void write_atomically(const std::filesystem::path& path, const std::string& text);

}  // namespace weft::tools
