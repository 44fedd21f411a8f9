// `weft`: the one program. Exit status: 0 done, 1 the run failed, 2 bad usage or bad input,
// 3 the measured job was not reproduced, so nothing is predicted (weft replay).
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <memory>
#include <sstream>

#include "base/registry.hpp"
#include "base/result.hpp"
#include "tools/commands.hpp"

namespace {

constexpr const char* kAbout =
    "weft: what will this fabric do to my training job, and what is the best way to move its data?";

/// A subcommand's help opens with one line that says what it does; the list shows that line.
class ShortList final : public CLI::Formatter {
  public:
    std::string make_subcommand(const CLI::App* sub) const override {
        const std::string& help = sub->get_description();
        std::ostringstream out;
        CLI::detail::format_help(out, sub->get_name(), help.substr(0, help.find('\n')), 12);
        return out.str();
    }
};

/// One line, like every other error, that ends with where to read more.
int usage_error(const CLI::App& app, const CLI::ParseError& e) {
    std::string command = "weft";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
        at = at->get_subcommands().front();
        command += " " + at->get_name();
    }
    fmt::print(stderr, "weft: {} (see {} --help)\n", weft::printable(e.what(), 200), command);
    return 2;
}

/// CLI11 would say no more than that a command is missing.
void check_command(CLI::App& app, const std::string& word) {
    std::vector<std::string> names;
    for (const CLI::App* sub : app.get_subcommands(nullptr)) names.push_back(sub->get_name());
    if (word[0] == '-' || std::find(names.begin(), names.end(), word) != names.end()) return;
    throw weft::ConfigError({.file = {},
                             .line = 0,
                             .key = "command",
                             .found = weft::printable(word),
                             .expected = "one of " + weft::suggest(word, names),
                             .example = "weft " + names.front() + " --help"});
}

int run(int argc, char** argv) {
    CLI::App app{kAbout, "weft"};
    app.formatter(std::make_shared<ShortList>());
    app.footer("weft COMMAND --help shows examples. Text needs a unit: 64MiB, 400Gbps, 1.5us.");
    app.require_subcommand(1);
    app.set_version_flag("--version", WEFT_VERSION);
    std::function<int()> body;
    for (const auto add : weft::tools::commands()) add(app, body);
    if (argc > 1) check_command(app, argv[1]);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
        return usage_error(app, e);
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
