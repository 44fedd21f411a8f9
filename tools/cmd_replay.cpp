// weft replay: the main job. A trace on a fabric: how long a step takes, and where the time goes.
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "simulator/band.hpp"
#include "simulator/scenario.hpp"
#include "simulator/trust/trust.hpp"
#include "tools/commands.hpp"
#include "tools/endpoint_flag.hpp"
#include "tools/failure_flags.hpp"
#include "tools/flags.hpp"
#include "tools/packet_flags.hpp"
#include "tools/progress.hpp"
#include "tools/report/report.hpp"
#include "tools/run_file.hpp"
#include "tools/trust.hpp"
#include "tools/variation.hpp"
#include "topology/io/load.hpp"
#include "traces/load.hpp"

namespace weft::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kHelp = R"(Replay a training step on a fabric: its time, and where it goes.

  weft replay traces/samples/gpt_7b_64gpu.txt --fabric hpn7
  weft replay job.txt --fabric hpn7 --gpus 128           wider data parallelism, same work a rank
  weft replay job.txt --fabric hpn7:mode=single-plane    what the second plane is worth
  weft replay job.txt --fabric dcn+ --library nccl-static
  weft replay job.txt --fabric hpn7 --machine h100       endpoint figures fitted to 8x H100
  weft replay my-job.yaml --fabric my-cluster.yaml --out my-run
  weft replay job.txt --measured-step 4.9s --measured-on my-cluster.yaml --fabric hpn7
  weft replay profile.json --measured-on my-cluster.yaml --fabric hpn7    PyTorch's profiler
  weft replay job.txt --jitter noise=1%,stragglers=0.5%:15% --seeds 100   p50, p90, p99
  weft replay job.txt --overlap sm                       compute slowed by communication

TRACE is a SimAI / AICB workload file, the trace of one rank by PyTorch's profiler (Kineto), or
Weft's own YAML; traces/README.md says what each holds and what is assumed where it is silent.
Measured times (of the trace, --measured, --measured-step) are reproduced first; when the step or a
part of it misses by more than --trust-limit, nothing is predicted (exit 3) unless --predict-anyway.
Prints the first screen and writes to --out:
  report.html    everything in one page, no network needed
  timeline.json  every operation of some ranks; open it in Perfetto (ui.perfetto.dev)
  result.json    all numbers; equal inputs give equal bytes
  run.json       how, where and how fast this run was made)";

struct Options {
    std::string trace;
    std::string fabric = "hpn7";
    std::uint32_t gpus = 0;
    std::string library = "weft";
    std::uint32_t qps = 0;
    std::string network = "flow";
    PacketFlags packets;
    FailureFlags failures;
    std::string endpoint = "calibrated";
    std::string machine = nccl_tuning_profile().name;
    bool no_symmetry = false;
    std::uint64_t seed = 1;
    VariationOptions variation;
    TrustOptions trust;
    bool band = false;
    std::string out = "weft-out";
    bool json = false;
};

Scenario scenario_of(const Options& o, const Fabric& fabric, const Workload& workload) {
    Scenario s;
    s.fabric = &fabric;
    s.workload = &workload;
    s.placement = packed_placement(fabric, workload.world);
    s.library.name = o.library;
    s.library.qps_per_connection = o.qps;
    s.network = pick<NetworkModel>("--network", o.network,
                                   {{"flow", NetworkModel::kFlow},
                                    {"packet", NetworkModel::kPacket},
                                    {"analytic", NetworkModel::kAnalytic}});
    s.packet = packet_options(o.packets, o.seed);
    s.failures = failures_of(o.failures, fabric);
    s.endpoint = pick_endpoint(o.endpoint);
    s.machine = parse_flag("--machine", o.machine, find_profile);
    s.seed = o.seed;
    apply(o.variation, s);
    s.symmetry = !o.no_symmetry;
    return s;
}

Report report_of(const Options& o, const Scenario& s, const Result& r) {
    Report report;
    report.result = &r;
    report.title = fmt::format("{} on {}", s.workload->name, s.fabric->name());
    report.subtitle = fmt::format("{} ranks on {} GPUs ({}); library {}, network {}, endpoint {}",
                                  s.workload->world, s.fabric->gpus().size(),
                                  s.placement.description, o.library, o.network, o.endpoint);
    report.trust = first_line(r.trust, o.endpoint, s.machine.name);
    report.marked = r.trust.predicted_anyway;
    return report;
}

Workload load(const Options& o) {
    LoadOptions options;
    options.gpus = o.gpus;
    return load_workload(o.trace, options);
}

Result answer(const Options& o, const Scenario& s) {
    ProgressLine line;
    return simulate_with_seeds(o.variation, s, line.sink());
}

/// The same question about the job as it was measured.
Options as_measured(const Options& o) {
    Options m = o;
    m.failures = {};  // measured on healthy links
    if (!o.trust.measured_on.empty()) m.fabric = o.trust.measured_on;
    if (!o.trust.measured_library.empty()) m.library = o.trust.measured_library;
    m.gpus = o.trust.measured_gpus;
    return m;
}

/// Of as many ranks as the trace says; a trace that names none was measured as asked about.
Workload measured_job(const Options& m, const Options& o, const Workload& asked) {
    if (m.gpus == o.gpus) return asked;
    try {
        return load(m);
    } catch (const ConfigError&) {
        if (m.gpus != 0) throw;
        return asked;
    }
}

/// The measured job, simulated where it ran, beside what was measured. `r` receives the result when
/// the question is about that very job.
Trust reproduce(const Options& o, const Workload& asked, std::optional<Result>& r) {
    const std::int64_t limit = parse_limit(o.trust.limit);
    if (!o.trust.any_times() && !has_measured_times(asked)) return {};
    const Options m = as_measured(o);
    Workload workload = measured_job(m, o, asked);
    lay_measured_times(o.trust, workload);
    const Fabric fabric = load_fabric(m.fabric);
    Result result = answer(m, scenario_of(m, fabric, workload));
    Trust t = compare(workload, result, limit);
    t.on = fmt::format("{}, {} ranks, library {}", m.fabric, workload.world, m.library);
    t.predicted_anyway = t.verdict == Trust::Verdict::kNotReproduced && o.trust.predict_anyway;
    const bool healthy = o.failures.fail.empty() && o.failures.file.empty();
    if (healthy && m.fabric == o.fabric && m.library == o.library && workload.world == asked.world)
        r = std::move(result);
    return t;
}

int run_replay(const Options& o) {
    const auto start = Clock::now();
    const Workload workload = load(o);
    const Fabric fabric = load_fabric(o.fabric);
    const Scenario s = scenario_of(o, fabric, workload);
    const std::chrono::duration<double> loaded = Clock::now() - start;
    std::optional<Result> same;
    const Trust trust = reproduce(o, workload, same);
    if (refused(trust)) {
        if (!o.json) fmt::print("{}\n", first_line(trust, o.endpoint, s.machine.name));
        fmt::print(stderr, "weft: {}\n", refusal(trust));
        return kExitNotReproduced;
    }
    Result r = same ? std::move(*same) : answer(o, s);
    r.trust = trust;
    if (const std::string weak = weak_line(trust); !weak.empty()) r.warnings.push_back(weak);
    if (o.band) {
        ProgressLine line;
        r.bands.push_back(band_by_figures(run_of(r, s), r, line.sink()));
    }
    const std::chrono::duration<double> simulated = Clock::now() - start - loaded;
    const Report report = report_of(o, s, r);
    const std::filesystem::path out = o.out;
    const std::string json = to_json(r);
    write_atomically(out / "result.json", json);
    write_atomically(out / "timeline.json", trace_events(r));
    write_atomically(out / "report.html", html_report(report));
    write_atomically(out / "run.json", run_json({{"load_wall_s", loaded.count()},
                                                 {"simulate_wall_s", simulated.count()}}));
    if (o.json) {
        fmt::print("{}", json);
    } else {
        fmt::print("{}", text_report(report));
        fmt::print("report: {}   timeline: {} (Perfetto)\n", (out / "report.html").string(),
                   (out / "timeline.json").string());
    }
    return 0;
}

}  // namespace

void add_replay(CLI::App& app, std::function<int()>& run) {
    CLI::App* sub = app.add_subcommand("replay", kHelp);
    const auto o = std::make_shared<Options>();
    sub->add_option("trace", o->trace,
                    "a SimAI / AICB workload, a trace of PyTorch's profiler, or Weft's YAML")
        ->required();
    sub->add_option("--fabric", o->fabric, "family, family:key=value,... or a YAML file")
        ->capture_default_str();
    sub->add_option("--gpus", o->gpus, "ranks of the job (default: as the trace says)")
        ->check(in_range(1, 1 << 20));
    sub->add_option("--library", o->library,
                    "weft, or what rivals run: nccl-static, nccl-2.18, nccl-2.30")
        ->capture_default_str();
    sub->add_option("--qps", o->qps, "QPs per connection (0: the library's own default)")
        ->check(in_range(0, 1024));
    sub->add_option("--network", o->network, "flow, packet or analytic")->capture_default_str();
    add_packet_flags(*sub, o->packets);
    add_failure_flags(*sub, o->failures);
    sub->add_option("--endpoint", o->endpoint, kEndpoints)->capture_default_str();
    sub->add_option("--machine", o->machine,
                    "figures of the endpoint: nccl-tuning (published, nothing fitted), a100, h100 "
                    "or a machine they stand for, or a YAML file of `weft calibrate`")
        ->capture_default_str();
    sub->add_flag("--no-symmetry", o->no_symmetry, "simulate every rank by itself: same answer");
    add_trust_flags(*sub, o->trust);
    add_compute_flags(*sub, o->variation);
    add_seed_flags(*sub, o->variation);
    sub->add_option("--seed", o->seed, "of hashes, source ports and jitter")->capture_default_str();
    sub->add_flag("--band", o->band,
                  "range of the step by the ranges of the machine's figures: two simulations each");
    sub->add_option("--out", o->out, "folder for the report and the data")->capture_default_str();
    sub->add_flag("--json", o->json, "print result.json instead of the first screen");
    sub->callback([o, &run] { run = [o] { return run_replay(*o); }; });
}

}  // namespace weft::tools
