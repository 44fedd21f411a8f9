// `weft`: the one program. Exit status: 0 done, 1 the run failed, 2 bad usage or bad input.
#include <cstdio>
#include <exception>
#include <fmt/format.h>

#include "base/result.hpp"
#include "tools/commands.hpp"

namespace {

constexpr const char* kAbout =
    "weft: what will this fabric do to my training job, and what is the best way to move its data?";

int run(int argc, char** argv) {
    CLI::App app{kAbout, "weft"};
    app.require_subcommand(1);
    app.set_version_flag("--version", WEFT_VERSION);
    std::function<int()> body;
    for (const auto add : weft::tools::commands()) add(app, body);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        const int code = app.exit(e);
        return code == 0 ? 0 : 2;
    }
    return body ? body() : 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const weft::ConfigError& e) {
        fmt::print(stderr, "weft: {}\n", e.what());
        return 2;
    } catch (const std::exception& e) {
        fmt::print(stderr, "weft: this is a bug, please report it: {}\n", e.what());
        return 1;
    }
}
