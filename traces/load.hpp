#pragma once
// Reading a Workload from a file: the trace formats, and the one call that tries them.
//
// The format is told from the content, never from the name of the file. Leaves out: several files
// a job (one file per rank), compression. Every error is a ConfigError of one line that names file,
// line and key.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/registry.hpp"
#include "traces/workload.hpp"

namespace weft {

struct LoadOptions {
    /// World size; 0 takes the file's own. Another number than the file's changes the data-parallel
    /// width, where the format can say what that means.
    std::uint32_t gpus = 0;
};

/// The text of a trace; `file` is for messages.
struct TraceText {
    std::string file;
    std::string text;
};

struct TraceFormat {
    bool (*recognises)(std::string_view text) = nullptr;
    Workload (*read)(const TraceText& trace, const LoadOptions& options) = nullptr;
};

/// The formats, in the order in which they are tried (traces/builtin.cpp).
[[nodiscard]] const Registry<TraceFormat>& trace_formats();

inline constexpr std::size_t kMaxTraceBytes = std::size_t{256} << 20;
inline constexpr std::uint32_t kMaxWorld = 1U << 20;
/// Of a whole Workload: what a mistyped repeat or header may not exceed.
inline constexpr std::size_t kMaxOps = 8'000'000;

/// The whole file, at most kMaxTraceBytes; ConfigError when it cannot be read.
[[nodiscard]] std::string read_trace_file(const std::string& path);

/// Reads and validates.
[[nodiscard]] Workload read_workload(const TraceText& trace, const LoadOptions& options = {});
[[nodiscard]] Workload load_workload(const std::string& path, const LoadOptions& options = {});

}  // namespace weft
