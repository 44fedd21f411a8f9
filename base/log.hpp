#pragma once
// Where a library says something: an injected sink, absent by default. Libraries never print.
#include <functional>
#include <string>

namespace weft {

enum class LogLevel { kDebug, kInfo, kWarning };

using LogSink = std::function<void(LogLevel, const std::string&)>;

/// Progress of long work: fraction in [0, 1] and one line of text. Called at most ~10 times a
/// second of work done; may be empty.
using ProgressSink = std::function<void(double fraction, const std::string& what)>;

}  // namespace weft
