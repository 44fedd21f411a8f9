#pragma once
// Progress on a terminal for what takes over a second: one line, written over and removed at the
// end. Nothing where stderr is no terminal.
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <unistd.h>

#include "base/log.hpp"

namespace weft::tools {

class ProgressLine {
  public:
    ProgressLine() = default;
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;
    ~ProgressLine() {
        if (shown_) fmt::print(stderr, "\r\033[K");
    }
    [[nodiscard]] ProgressSink sink() {
        if (isatty(STDERR_FILENO) == 0) return {};
        return [this](double fraction, const std::string& what) {
            const auto now = Clock::now();
            if (now - start_ < std::chrono::seconds(1)) return;
            if (shown_ && now - last_ < std::chrono::milliseconds(100)) return;
            last_ = now;
            shown_ = true;
            fmt::print(stderr, "\r\033[K{:3.0f} %  {}", 100 * fraction, what);
            std::fflush(stderr);
        };
    }

  private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_ = start_;
    bool shown_ = false;
};

}  // namespace weft::tools
