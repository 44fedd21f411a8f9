// `weft reproduce hpn`, `weft reproduce hpcc`: published results beside simulated ones.
#include <fmt/format.h>
#include <memory>
#include <thread>

#include "tools/commands.hpp"
#include "tools/flags.hpp"
#include "tools/progress.hpp"
#include "tools/report/report.hpp"
#include "tools/reproduce/hpcc.hpp"
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

struct HpccCommand {
    HpccOptions options;
    std::string time = "5ms";
    std::string plot;
    bool json = false;
};

int run_hpcc(HpccCommand c) {
    c.options.time = parse_flag("--time", c.time, parse_duration);
    std::vector<HpccRun> runs;
    {
        ProgressLine line;
        runs = reproduce_hpcc(c.options, line.sink());
    }
    if (!c.plot.empty()) write_atomically(c.plot, to_svg(runs));
    fmt::print("{}", c.json ? to_json(runs, c.options) : to_text(runs));
    return 0;
}

void add_hpcc(CLI::App& reproduce, std::function<int()>& run) {
    auto* hpcc = reproduce.add_subcommand(
        "hpcc",
        "Slowdowns under DCQCN, TIMELY, DCTCP and HPCC, after figure 11 of HPCC (SIGCOMM 2019).\n\n"
        "  weft reproduce hpcc --time 200us     quick\n"
        "  weft reproduce hpcc --plot hpcc.svg  flows of 5 ms: minutes\n");
    auto c = std::make_shared<HpccCommand>();
    c->options.threads = std::max(1U, std::thread::hardware_concurrency());
    hpcc->add_option("--time", c->time, "Flows start within it")->capture_default_str();
    hpcc->add_option("--seed", c->options.seed, "Of the traffic")->capture_default_str();
    hpcc->add_option("-j,--threads", c->options.threads,
                     "Threads; the result does not depend on it")
        ->check(in_range(1, 256))
        ->capture_default_str();
    hpcc->add_option("--plot", c->plot, "Write the plot there (SVG)");
    hpcc->add_flag("--json", c->json, "print JSON");
    hpcc->callback([&run, c] { run = [c] { return run_hpcc(*c); }; });
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
    add_hpcc(*command, run);
}

}  // namespace weft::tools
