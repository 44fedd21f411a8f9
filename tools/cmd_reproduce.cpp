// `weft reproduce hpn`: published gains beside simulated ones.
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <thread>
#include <unistd.h>

#include "tools/commands.hpp"
#include "tools/reproduce/hpn.hpp"

namespace weft::tools {
namespace {

int run_hpn(const HpnOptions& options) {
    ProgressSink progress;
    if (isatty(STDERR_FILENO) != 0)
        progress = [](double fraction, const std::string& what) {
            fmt::print(stderr, "\r{:3.0f} %  {:<50}", 100 * fraction, what);
        };
    const HpnReproduction r = reproduce_hpn(options, progress);
    if (progress) fmt::print(stderr, "\r{:<60}\r", "");
    fmt::print("{}", to_text(r, options));
    return 0;
}

}  // namespace

void add_reproduce(CLI::App& app, std::function<int()>& run) {
    auto* command = app.add_subcommand("reproduce", "Published results beside simulated ones");
    command->require_subcommand(1);
    auto options = std::make_shared<HpnOptions>();
    options->threads = std::max(1U, std::thread::hardware_concurrency());
    auto* hpn = command->add_subcommand(
        "hpn",
        "The gains of Alibaba HPN (SIGCOMM 2024): dual plane, DCN+, a lost link.\n"
        "Example: weft reproduce hpn --seeds 20");
    hpn->add_option("--seeds", options->seeds, "Hash seeds per configuration")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    hpn->add_option("-j,--threads", options->threads, "Threads; the result does not depend on it")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    hpn->callback([&run, options] { run = [options] { return run_hpn(*options); }; });
}

}  // namespace weft::tools
