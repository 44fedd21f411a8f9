#pragma once
// The subcommands of `weft`. One file per subcommand (tools/cmd_NAME.cpp) and one row in
// tools/builtin.cpp. A subcommand parses its flags, calls the rooms, prints the result to stdout
// and progress to stderr. Errors: ConfigError for bad input (exit 2); returning non-zero means the
// run failed (exit 1).
#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <vector>

namespace weft::tools {

/// A whole number in [low, high]. CLI11 alone wraps -1 and what is too large for the type.
[[nodiscard]] inline CLI::Range in_range(std::int64_t low, std::int64_t high) {
    return CLI::Range(low, high);
}

/// Adds the subcommand to the application; `run` is set to its body when the user picks it.
using AddCommand = void (*)(CLI::App& app, std::function<int()>& run);

[[nodiscard]] const std::vector<AddCommand>& commands();

}  // namespace weft::tools
