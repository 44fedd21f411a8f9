#pragma once
// Flags of what fails in mid-run, for every subcommand that simulates a network.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "topology/failure.hpp"

namespace weft::tools {

struct FailureFlags {
    std::vector<std::string> fail;  // a line each
    std::string file;
    std::string convergence = "0";
};

void add_failure_flags(CLI::App& sub, FailureFlags& flags);
/// Those of the file, then those of the flags. ConfigError names the flag, or file and line.
[[nodiscard]] std::vector<Failure> failures_of(const FailureFlags& flags, const Fabric& fabric);

}  // namespace weft::tools
