// `weft reproduce hpn`: published gains beside simulated ones.
#include <fmt/format.h>
#include <memory>
#include <thread>

#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/reproduce/hpn.hpp"

namespace weft::tools {
namespace {

int run_hpn(const HpnOptions& options, bool json) {
    HpnReproduction r;
    {
        ProgressLine line;
        r = reproduce_hpn(options, line.sink());
    }
    fmt::print("{}", json ? to_json(r, options) : to_text(r, options));
    return 0;
}

}  // namespace

void add_reproduce(CLI::App& app, std::function<int()>& run) {
    auto* command = app.add_subcommand("reproduce", "Published results beside simulated ones.");
    command->require_subcommand(1);
    auto options = std::make_shared<HpnOptions>();
    options->threads = std::max(1U, std::thread::hardware_concurrency());
    auto* hpn = command->add_subcommand(
        "hpn",
        "The gains of Alibaba HPN (SIGCOMM 2024): dual plane, DCN+, a lost link.\n\n"
        "  weft reproduce hpn --seeds 20        a few seeds are quick; 100 take minutes\n"
        "  weft reproduce hpn --json            every finding, seed by seed\n");
    hpn->add_option("--seeds", options->seeds, "Hash seeds per configuration")
        ->check(in_range(1, 10000))
        ->capture_default_str();
    hpn->add_option("-j,--threads", options->threads, "Threads; the result does not depend on it")
        ->check(in_range(1, 256))
        ->capture_default_str();
    auto json = std::make_shared<bool>(false);
    hpn->add_flag("--json", *json, "print JSON: fractions, .5 is +50 %");
    hpn->callback(
        [&run, options, json] { run = [options, json] { return run_hpn(*options, *json); }; });
}

}  // namespace weft::tools
