#pragma once
// The subcommands of `weft`. One file per subcommand (tools/cmd_NAME.cpp) and one row in
// tools/builtin.cpp. A subcommand parses its flags, calls the rooms, prints the result to stdout
// and progress to stderr. Errors: ConfigError for bad input (exit 2); returning non-zero means the
// run failed (exit 1).
#include <CLI/CLI.hpp>
#include <functional>
#include <vector>

namespace weft::tools {

/// Adds the subcommand to the application; `run` is set to its body when the user picks it.
using AddCommand = void (*)(CLI::App& app, std::function<int()>& run);

[[nodiscard]] const std::vector<AddCommand>& commands();

}  // namespace weft::tools
