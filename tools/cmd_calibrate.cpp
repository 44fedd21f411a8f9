// weft calibrate: the figures of a machine from measured curves.
#include <fmt/format.h>
#include <fstream>
#include <memory>

#include "collectives/algorithms/algorithm.hpp"
#include "simulator/calibrate/hold_out.hpp"
#include "tools/commands.hpp"
#include "tools/flags.hpp"
#include "traces/measurements/import.hpp"

namespace weft::tools {
namespace {

constexpr const char* kHelp = R"(Fit a machine's endpoint figures to measured curves.

  weft calibrate all_reduce.log --host dgx-h100 --hosts 2 --as mycluster      writes mycluster.yaml
  weft calibrate curves.yaml --as mycluster
  weft calibrate --published h100 --as h100            published curves marked `fit`
  weft sim allreduce --size 1GiB --gpus 16 --fabric hosts --machine mycluster.yaml

FILES are nccl-tests output (with or without NCCL_DEBUG=INFO lines), OSU output, CSV, or curves in
Weft's YAML (traces/measurements/README.md). Prints each figure with its range (5 to 95 %), the
sizes that determined it, each curve's error, and rows that stand apart from their neighbours.

What the figures leave of the curves (the remainder: measured / simulated by size) goes into the
profile as well, and is applied to the same collective on as many hosts and ranks under the same
library, within its sizes. Not with --no-remainder, and not with --published: a profile that is to
predict other machines is judged by its figures.)";

struct Options {
    std::vector<std::string> files;
    std::string collective;
    std::string host = "dgx-h100";
    std::uint32_t hosts = 0;
    std::uint32_t gpus_per_host = 0;
    std::string library = "nccl-2.30";
    std::string algorithm;
    bool no_nvls = false;
    std::string published;
    std::string as = "machine";
    std::string title;
    std::vector<std::string> also;
    std::string out;
    bool rows = false;
    bool no_remainder = false;
};

std::string percent(double part) {
    return fmt::format("{:+.1f} %", 100 * part);
}

void print_costs(const Fit& fit) {
    fmt::print("{:<20} {:>12} {:>12} {:>12}   {}\n", "figure", "value", "5 %", "95 %",
               "determined by");
    for (const FittedCost& c : fit.costs) {
        const Estimate& e = fit.profile.at(c.cost);
        fmt::print("{:<20} {:>12} {:>12} {:>12}   {}\n",
                   cost_table()[static_cast<std::size_t>(c.cost)].name, cost_text(c.cost, e.value),
                   cost_text(c.cost, e.low), cost_text(c.cost, e.high), e.from);
    }
}

void print_curves(const Fit& fit, const std::vector<const MeasuredCase*>& cases, bool rows) {
    fmt::print("\n{:<24} {:>6} {:>10} {:>10}\n", "curve", "rows", "median", "worst");
    for (std::size_t c = 0; c < cases.size(); ++c) {
        std::vector<double> sizes;
        double worst = 0;
        for (const FittedPoint& p : fit.points) {
            if (p.which != c) continue;
            sizes.push_back(std::abs(p.error));
            if (std::abs(p.error) > std::abs(worst)) worst = p.error;
        }
        fmt::print("{:<24} {:>6} {:>8.1f} % {:>10}\n", cases[c]->id, sizes.size(),
                   100 * median(sizes), percent(worst));
        for (const FittedPoint& p : fit.points)
            if (rows && p.which == c)
                fmt::print("    {:>10} {:>12} {:>10}\n", to_string(cases[c]->points[p.point].size),
                           to_string(cases[c]->points[p.point].time), percent(p.error));
    }
    fmt::print("all: median {:.1f} %, worst {:.1f} %, {} rounds\n", 100 * fit.median_error,
               100 * fit.worst_error, fit.rounds);
    for (const FittedPoint& p : fit.points) {
        if (!p.outlier) continue;
        const MeasuredCase& c = *cases[p.which];
        const MeasuredPoint& m = c.points[p.point];
        fmt::print("row apart: {}:{}: {} of {}: {} stands {} from its neighbours\n", c.file, m.line,
                   to_string(m.size), c.id, to_string(m.time), percent(-p.apart));
    }
}

/// Every second row by the others: what the profile is worth between the sizes measured.
void print_held_out(const std::vector<const MeasuredCase*>& cases, const MachineProfile& start,
                    bool remainder) {
    const HeldOut h = hold_out(cases, start);
    if (h.rows == 0) {
        fmt::print("no curve has {} rows, of which every second could judge the others\n",
                   kLeastRows);
        return;
    }
    fmt::print("fitted to every second row, the {} rows between: median {:.1f} % by the figures",
               h.rows, 100 * h.named);
    if (remainder) fmt::print(", {:.1f} % with the remainder", 100 * h.remained);
    fmt::print("\n");
}

void print_remainder(const Fit& fit, const std::vector<const MeasuredCase*>& cases) {
    const HeldOut h = reproduced(fit, cases);
    fmt::print(
        "remainder: of {} of {} rows the figures leave median {:.1f} %, with the remainder {:.1f} "
        "%\n",
        h.rows, fit.points.size(), 100 * h.named, 100 * h.remained);
    for (const Remainder& r : fit.profile.remainder)
        fmt::print("  {}: {} sizes, {} to {}\n", to_string(r.of), r.rows.size(),
                   to_string(r.rows.front().size), to_string(r.rows.back().size));
}

bool unsaid(const std::string& text) {
    return text.empty() || text == "unknown";
}

/// What the log does not say of its setup, from the flags.
void complete(MeasuredCase& c, const NcclFacts& facts, const Options& o) {
    if (unsaid(c.machine)) c.machine = o.as;
    if (unsaid(c.host)) c.host = o.host;
    if (unsaid(c.library)) c.library = facts.version.empty() ? o.library : "nccl-" + facts.version;
    if (c.algorithm.empty()) c.algorithm = o.algorithm;
    c.nvls = !o.no_nvls && c.algorithm.empty();
    if (c.hosts > 1 && (unsaid(c.network) || c.network == "none")) c.network = "one-switch";
    if (c.hosts > 0 && c.gpus_per_host > 0) return;
    throw ConfigError({.file = c.file,
                       .line = c.line,
                       .key = c.id,
                       .found = "a log that does not say how many hosts and GPUs ran it",
                       .expected = "--hosts and --gpus-per-host",
                       .example = "--hosts 2 --gpus-per-host 8"});
}

void read_file(const std::string& path, const Options& o, Measurements& all) {
    ImportHints hints;
    if (!o.collective.empty()) hints.collective = parse_collective(o.collective);
    hints.hosts = o.hosts;
    hints.gpus_per_host = o.gpus_per_host;
    Imported in = load_import(path, hints);
    fmt::print("{}: {}, {} curve{}", path, in.format, in.cases.size(),
               in.cases.size() == 1 ? "" : "s");
    if (!in.nccl.version.empty()) fmt::print(", NCCL {}", in.nccl.version);
    fmt::print("\n");
    for (const std::string& note : in.notes) fmt::print("  {}\n", note);
    for (MeasuredCase& c : in.cases) {
        if (in.format != "measurements") complete(c, in.nccl, o);
        all.cases.push_back(std::move(c));
    }
}

int run_calibrate(const Options& o) {
    Measurements all;
    if (!o.published.empty()) {
        Measurements published = builtin_measurements();
        for (MeasuredCase& c : published.cases)
            if (c.machine == o.published && c.use == Use::kFit) all.cases.push_back(std::move(c));
    }
    for (const std::string& file : o.files) read_file(file, o, all);
    std::vector<const MeasuredCase*> cases;
    for (const MeasuredCase& c : all.cases) cases.push_back(&c);
    if (cases.empty())
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "weft calibrate",
                           .found = "no curves",
                           .expected = "files of curves, or --published and a machine",
                           .example = "--published h100"});
    MachineProfile start = nccl_tuning_profile();
    start.name = o.as;
    start.title = o.title.empty() ? fmt::format("fitted to {} curves", cases.size()) : o.title;
    start.also = o.also;
    const bool remainder = !o.no_remainder && o.published.empty();
    Fit fit = fit_profile(cases, start);
    if (remainder) add_remainder(fit, cases);
    print_costs(fit);
    print_curves(fit, cases, o.rows);
    if (remainder) print_remainder(fit, cases);
    if (o.published.empty()) print_held_out(cases, start, remainder);
    const std::string path = o.out.empty() ? o.as + ".yaml" : o.out;
    std::ofstream file(path, std::ios::binary);
    file << to_yaml(fit.profile);
    file.close();
    if (!file)
        throw ConfigError({.file = path,
                           .line = 0,
                           .key = "--out",
                           .found = "a file that cannot be written",
                           .expected = "a path in a folder that exists",
                           .example = "mycluster.yaml"});
    fmt::print("wrote {}\n", path);
    return 0;
}

}  // namespace

void add_calibrate(CLI::App& app, std::function<int()>& run) {
    auto o = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand("calibrate", kHelp);
    sub->add_option("files", o->files, "measured curves");
    sub->add_option("--published", o->published, "published curves of this machine, fit part");
    sub->add_option("--collective", o->collective, "what was measured, where the log is silent");
    sub->add_option("--host", o->host, "host template of the logs")->capture_default_str();
    sub->add_option("--hosts", o->hosts, "hosts of the logs, where they are silent")
        ->check(in_range(1, 1024));
    sub->add_option("--gpus-per-host", o->gpus_per_host, "GPUs of each host, likewise")
        ->check(in_range(1, 64));
    sub->add_option("--library", o->library, "library of the logs, likewise")
        ->capture_default_str();
    sub->add_option("--algorithm", o->algorithm, "algorithm that was forced, if one was");
    sub->add_flag("--no-nvls", o->no_nvls, "NVLS was off");
    sub->add_option("--as", o->as, "name of the profile")->capture_default_str();
    sub->add_option("--title", o->title, "one line about the machine");
    sub->add_option("--also", o->also, "machines that the profile stands for besides")
        ->delimiter(',');
    sub->add_option("--out", o->out, "file to write (default: NAME.yaml)");
    sub->add_flag("--rows", o->rows, "print every row");
    sub->add_flag("--no-remainder", o->no_remainder, "the named figures alone");
    sub->callback([o, &run] { run = [o] { return run_calibrate(*o); }; });
}

}  // namespace weft::tools
