// weft validate: published measurements against what Weft says, beside null models; with --live,
// live runs against the simulation of the same Plans.
#include <cmath>
#include <fmt/format.h>
#include <memory>

#include "simulator/calibrate/validate.hpp"
#include "tools/accuracy/accuracy.hpp"
#include "tools/commands.hpp"
#include "tools/endpoint_flag.hpp"
#include "tools/flags.hpp"
#include "tools/live_validate/live_validate.hpp"
#include "tools/report/report.hpp"

namespace weft::tools {
namespace {

constexpr const char* kHelp = R"(Hold Weft against everything published.

  weft validate                        every curve; the null models beside it
  weft validate --rows azure-h200-8    one curve, row by row
  weft validate --endpoint detailed    the same by mechanisms, which nothing was fitted to
  weft validate --report docs          docs/accuracy.md, with plots in docs/accuracy/
  weft validate --live                 collectives over network namespaces; their Plans simulated
  weft validate --live --collectives allreduce --sizes 16MiB,64MiB --within 10%

Figures of machines are fitted to curves marked `fit` alone; the `test` part is other generations of
machines and other scales.)";

struct Options {
    std::vector<std::string> rows;
    std::vector<std::string> machines;
    std::string report;
    std::string endpoint = "calibrated";
    bool no_bands = false;
    bool all_rows = false;
    bool is_live = false;
    LiveValidation live;
};

constexpr Model kModels[] = {Model::kWeft, Model::kLine, Model::kSteps, Model::kNccl};

std::string error_text(const std::optional<SimDuration>& said, SimDuration measured) {
    return said ? fmt::format("{:+.1f} %", 100 * error_of(*said, measured)) : "-";
}

void print_case(const ValidatedCase& c, bool rows) {
    if (!c.problem.empty()) {
        fmt::print("{:<24} {:<9} not simulated: {}\n", c.measured->id, name_of(c.measured->use),
                   c.problem);
        return;
    }
    Validation one;
    one.cases.push_back(c);
    std::string errors;
    for (const Model m : kModels) {
        const ErrorSummary s = summarise(one, m, c.measured->use);
        errors +=
            s.points == 0 ? fmt::format("{:>12}", "-") : fmt::format("{:>10.1f} %", 100 * s.median);
    }
    const ErrorSummary s = summarise(one, Model::kWeft, c.measured->use);
    fmt::print("{:<24} {:<9} {:>4}{}   {:+.1f} % at {}\n", c.measured->id, name_of(c.measured->use),
               c.points.size(), errors, 100 * s.worst, s.worst_at);
    if (!rows) return;
    if (!c.beyond.empty()) fmt::print("  extrapolated, not fitted: {}\n", c.beyond);
    for (const ValidatedPoint& p : c.points)
        fmt::print(
            "  {:>10} {:>12} {:>12} {:>24} {:>10} {:>10} {:>10} {:>10}  {}\n", to_string(p.size),
            to_string(p.measured), to_string(p.simulated),
            p.low == p.high ? "" : fmt::format("{} .. {}", to_string(p.low), to_string(p.high)),
            error_text(p.simulated, p.measured), error_text(p.line, p.measured),
            error_text(p.steps, p.measured), error_text(p.nccl, p.measured), p.carried);
}

void print_summary(const Validation& v, Use use) {
    fmt::print("\n{} part, from 64 KiB up{:>12} {:>10} {:>10} {:>10}   worst\n", name_of(use),
               "points", "median", "90 %", "");
    const std::pair<const char*, std::optional<Collective>> rows[] = {
        {"all", {}},
        {"allreduce", Collective::kAllReduce},
        {"allgather", Collective::kAllGather},
        {"reducescatter", Collective::kReduceScatter},
        {"alltoall", Collective::kAllToAll},
        {"sendrecv", Collective::kSendRecv},
        {"reduce", Collective::kReduce},
        {"gather", Collective::kGather},
        {"scatter", Collective::kScatter}};
    for (const auto& [name, collective] : rows)
        for (const Model m : kModels) {
            const ErrorSummary s = summarise(v, m, use, collective);
            if (s.points == 0) continue;
            fmt::print("  {:<14} {:<12} {:>6} {:>8.1f} % {:>8.1f} %   {:+.0f} %, {}\n", name,
                       name_of(m), s.points, 100 * s.median, 100 * s.p90, 100 * s.worst,
                       s.worst_at);
        }
}

void print_decisions(const Validation& v) {
    std::size_t right = 0;
    std::size_t run = 0;
    fmt::print("\npublished decisions\n");
    for (const ValidatedDecision& d : v.decisions) {
        if (!d.problem.empty()) {
            fmt::print("  {:<28} not simulated: {}\n", d.decision->id, d.problem);
            continue;
        }
        ++run;
        right += d.right ? 1 : 0;
        fmt::print("  {:<28} {:<5} {} {} against {} {}\n", d.decision->id,
                   d.right ? "right" : "WRONG", d.decision->a.what, to_string(d.a),
                   d.decision->b.what, to_string(d.b));
    }
    fmt::print("  {} of {} called right\n", right, run);
}

int write_report(const Options& o, const Validation& v) {
    const std::filesystem::path folder = o.report;
    const std::vector<Drawing> plots = accuracy_plots(v);
    for (const auto& [name, svg] : plots)
        write_atomically(folder / "accuracy" / (name + ".svg"), svg);
    write_atomically(folder / "accuracy.md", accuracy_page(v, plots));
    fmt::print("wrote {} and {} plots in {}\n", (folder / "accuracy.md").string(), plots.size(),
               (folder / "accuracy").string());
    return 0;
}

bool is_named(const Options& o, const MeasuredCase& c) {
    return std::find(o.rows.begin(), o.rows.end(), c.id) != o.rows.end();
}

int run_validate(const Options& o) {
    const Measurements all = builtin_measurements();
    std::vector<MachineProfile> profiles = builtin_profiles();
    for (const std::string& path : o.machines) {
        MachineProfile p = parse_flag("--machine", path, find_profile);
        std::erase_if(profiles, [&](const MachineProfile& q) { return q.name == p.name; });
        profiles.push_back(std::move(p));
    }
    for (const std::string& id : o.rows)
        if (find_case(all, id) == nullptr) {
            std::vector<std::string> ids;
            for (const MeasuredCase& c : all.cases) ids.push_back(c.id);
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = "--rows",
                               .found = printable(id),
                               .expected = "one of " + suggest(id, ids),
                               .example = ids.front()});
        }
    const WantsBands bands = [&](const MeasuredCase& c) {
        return !o.no_bands && (!o.report.empty() || is_named(o, c));
    };
    const Validation v = validate_measurements(all, profiles, bands, pick_endpoint(o.endpoint));
    if (!o.report.empty()) return write_report(o, v);
    fmt::print("{:<24} {:<9} {:>4}{:>12}{:>12}{:>12}{:>12}   worst of weft\n", "curve", "part",
               "rows", "weft", "line", "alpha-beta", "nccl");
    for (const ValidatedCase& c : v.cases) {
        const bool named = is_named(o, *c.measured);
        if (o.rows.empty() || named) print_case(c, named || o.all_rows);
    }
    if (!o.rows.empty()) return 0;
    print_summary(v, Use::kFit);
    print_summary(v, Use::kTest);
    print_decisions(v);
    return 0;
}

void add_live_flags(CLI::App& sub, Options& o) {
    LiveValidation& l = o.live;
    CLI::Option* live = sub.add_flag(
        "--live", o.is_live,
        "run collectives over a dual-plane fabric of network namespaces (root), simulate the same "
        "Plans on the same Fabric, print the error per size");
    sub.add_option("--hosts", l.hosts, "--live: one rank each")
        ->check(in_range(2, 64))
        ->capture_default_str()
        ->needs(live);
    sub.add_option("--rate", l.rate, "--live: of each of a host's four NICs")
        ->capture_default_str()
        ->needs(live);
    sub.add_option("--take", l.take,
                   "--live: namespaces that are there, NAME-0, NAME-1, ... with NICs r0p0, r1p0, "
                   "r0p1, r1p1, as --hosts and --rate say")
        ->needs(live);
    sub.add_option("--collectives", l.collectives, "--live")
        ->delimiter(',')
        ->capture_default_str()
        ->needs(live);
    sub.add_option("--sizes", l.sizes, "--live: nccl-tests totals, with units")
        ->delimiter(',')
        ->capture_default_str()
        ->needs(live);
    sub.add_option("--iters", l.iterations, "--live: timed iterations; the median counts")
        ->check(in_range(1, 1000))
        ->capture_default_str()
        ->needs(live);
    sub.add_option("--within", l.within, "--live: exit 1 when a row is further off, such as 10%")
        ->needs(live);
    sub.add_option("--mean-within", l.mean_within, "--live: the same of the mean over all rows")
        ->needs(live);
    sub.add_flag("--json", l.json, "--live: every figure, and the fabric")->needs(live);
}

}  // namespace

void add_validate(CLI::App& app, std::function<int()>& run) {
    auto o = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand("validate", kHelp);
    add_live_flags(*sub, *o);
    sub->add_option("--rows", o->rows, "these curves alone, row by row");
    sub->add_flag("--all-rows", o->all_rows, "every row of every curve");
    CLI::Option* endpoint =
        sub->add_option("--endpoint", o->endpoint, kEndpoints)->capture_default_str();
    sub->add_option("--report", o->report,
                    "folder for accuracy.md and its plots: every case, with bands")
        ->excludes(endpoint);
    sub->add_flag("--no-bands", o->no_bands, "no ranges: twenty times as fast");
    sub->add_option("--machine", o->machines, "a profile to use in place of the shipped one");
    sub->callback([o, &run] {
        run = [o] { return o->is_live ? validate_live(o->live) : run_validate(*o); };
    });
}

}  // namespace weft::tools
