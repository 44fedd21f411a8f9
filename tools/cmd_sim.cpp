// weft sim: one collective on a fabric, and what bounds it.
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <memory>

#include "collectives/algorithms/algorithm.hpp"
#include "simulator/band.hpp"
#include "simulator/endpoint/endpoint.hpp"
#include "simulator/execute/nccl_choice.hpp"
#include "simulator/scenario.hpp"
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
#include "traces/synth/synth.hpp"

namespace weft::tools {
namespace {

constexpr const char* kHelp =
    R"(Simulate one collective: how long, how much of the fabric, and what bounds it.

  weft sim allreduce --size 1GiB --gpus 512 --fabric hpn7
  weft sim allreduce --size 1GiB --gpus 15360 --fabric hpn7 --algorithm hierarchical
  weft sim alltoall --size 64MiB --gpus 4096 --endpoint ideal
  weft sim allreduce --size 1MiB --gpus 64 --endpoint detailed   what each mechanism costs
  weft sim allreduce --size 1GiB --gpus 64 --fabric hosts:hosts=8 --machine h100
  weft sim allreduce --size 4GB --gpus 64 --segments 2 --library nccl-static --qps 4
  weft sim allreduce --size 1GiB --gpus 64 --fail 'down host[0].nic[0]:0 > tor[0] @2ms for 5ms'
  weft sim allreduce --size 1GiB --gpus 64 --fail 'plane 1 @2ms' --convergence 1ms
  weft sim allreduce --size 1GiB --gpus 64 --fail 'loss tor[0] share 0.01%' --network packet
  weft sim allreduce --size 8MiB --gpus 8 --fabric hosts --library nccl-2.30 --explain
  weft sim alltoall --size 64MiB --gpus 64 --no-symmetry      the same answer, slowly
  weft sim alltoall --size 1MiB --gpus 32 --network packet --out weft-sim    queues, pauses, times

Sizes are nccl-tests totals.
COLLECTIVE: allreduce, allgather, reducescatter, alltoall, broadcast.)";

struct Options {
    std::string collective;
    std::string size;
    std::size_t gpus = 0;
    std::string fabric = "hpn7";
    std::string algorithm;
    std::string library = "weft";
    std::uint32_t qps = 0;
    std::uint32_t channels = 0;
    std::string network = "flow";
    PacketFlags packets;
    std::string endpoint = "calibrated";
    std::string machine = nccl_tuning_profile().name;
    std::size_t segments = 0;
    FailureFlags failures;
    bool no_symmetry = false;
    std::uint64_t seed = 1;
    VariationOptions variation;
    std::string band = "auto";
    std::string out;
    bool json = false;
    bool no_nvls = false;
    bool explain = false;
};

/// A rate, and what the endpoint model uses of it.
std::string rate_text(const Scenario& s, LinkKind kind, Bandwidth nominal) {
    const Bandwidth used = usable_rate(s, kind, nominal);
    if (used == nominal) return to_string(nominal);
    return fmt::format("{} (of which {} used)", to_string(nominal), to_string(used));
}

/// Where the time goes, mechanism by mechanism.
std::string parts_text(const CollectiveSummary& c) {
    SimDuration all;
    for (const TimePart& p : c.parts) all += p.time;
    std::string text;
    for (const TimePart& p : c.parts)
        text +=
            fmt::format("    {:<17} {:>11} {:>6.1f} %\n", p.name, to_string(p.time),
                        100.0 * static_cast<double>(p.time.ps()) / static_cast<double>(all.ps()));
    return text;
}

std::string rates(const Scenario& s) {
    const Fabric& fabric = *s.fabric;
    const Gpu& gpu = fabric.gpus().front();
    std::string text;
    for (const LinkId l : fabric.out(gpu.node))
        if (fabric.link(l).kind == LinkKind::kScaleUp)
            text += fmt::format("scale-up {} per GPU and direction, {} a hop",
                                rate_text(s, LinkKind::kScaleUp, fabric.link(l).capacity),
                                to_string(fabric.link(l).latency));
    if (gpu.nics.empty()) return text;
    const Nic& nic = fabric.nic(gpu.nics.front());
    return text +
           fmt::format("; NIC {} x {}, {} to the first switch", nic.ports.size(),
                       rate_text(s, LinkKind::kAccess, fabric.link(nic.ports.front()).capacity),
                       to_string(fabric.link(nic.ports.front()).latency));
}

void print_text(const Scenario& s, const Result& r) {
    const std::uint32_t ranks = s.workload->world;
    fmt::print("{} over {} rank{} on {} ({})\n", s.workload->name, ranks, ranks == 1 ? "" : "s",
               s.fabric->name(), s.placement.description);
    for (const CollectiveSummary& c : r.collectives)
        fmt::print("  time {}   algbw {:.2f} GB/s   busbw {:.2f} GB/s   algorithm {}\n",
                   with_bands(c.mean_time, r.bands), c.algbw_gbytes_per_s, c.busbw_gbytes_per_s,
                   c.algorithm);
    for (const CollectiveSummary& c : r.collectives) fmt::print("{}", parts_text(c));
    if (!r.seeds.empty()) fmt::print("{}\n", seeds_text(r));
    if (r.collectives.empty()) fmt::print("  time 0: one rank has nothing to send\n");
    if (!r.bands.empty()) fmt::print("  {}", bands_text(r));
    if (!r.lower_bound_by.empty())
        fmt::print("  lower bound {} ({:.1f} % of the time): {}\n", to_string(r.lower_bound),
                   100.0 * static_cast<double>(r.lower_bound.ps()) /
                       static_cast<double>(std::max<std::int64_t>(r.step_time.ps(), 1)),
                   r.lower_bound_by);
    fmt::print("  rates: {}\n", rates(s));
    if (r.packets.used) fmt::print("  {}\n", packets_text(r.packets));
    fmt::print("\n");
    if (!r.busiest_distinct.empty()) fmt::print("{}\n", links_text(r));
    for (const std::string& a : r.assumptions) fmt::print("  assumed: {}\n", a);
    for (const std::string& w : r.warnings) fmt::print("  warning: {}\n", w);
}

/// What NCCL's tuning model says of every candidate; the chosen one as in NCCL's log.
void explain(const Scenario& s, Collective kind, Bytes size) {
    std::vector<RankId> all;
    for (std::uint32_t r = 0; r < s.workload->world; ++r) all.emplace_back(r);
    const std::optional<nccl::Tuner> tuner = nccl_tuner(s, all);
    if (!tuner)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--explain",
                           .found = printable(s.library.name + " " + s.library.algorithm),
                           .expected = "a library whose choices are NCCL's, running one of its "
                                       "own algorithms",
                           .example = "--library nccl-2.30"});
    const auto graph = [](const nccl::Graph& g) {
        constexpr double kGiga = 1e9;
        return fmt::format("{} x {:.1f}/{:.1f} GB/s", g.channels,
                           static_cast<double>(g.intra) / kGiga,
                           static_cast<double>(g.inter) / kGiga);
    };
    const auto us_of = [](SimDuration d) { return static_cast<double>(d.ps()) * 1e-6; };
    const std::vector<nccl::Candidate> candidates = tuner->candidates(kind, size);
    const nccl::Candidate& winner = nccl::Tuner::winner(candidates);
    fmt::print("{}: rings {}, trees {}, NVLS {} (intra/inter); {} channels, {} for NVLS\n",
               s.library.name, graph(tuner->ring()), graph(tuner->tree()), graph(tuner->nvls()),
               tuner->channels(), tuner->nvls_channels());
    fmt::print("{}\n", nccl::log_line(kind, size, winner));
    for (const nccl::Candidate& c : candidates)
        fmt::print("  {:<9} {:<6}  {:>3} channels   latency {:>9.1f} us   {:>7.1f} GB/s   {}{}\n",
                   nccl::name_of(c.algorithm), name_of(c.protocol), c.channels, us_of(c.latency),
                   static_cast<double>(c.bytes_per_s) * 1e-9,
                   c.bytes_per_s > 0 ? fmt::format("predicted {:>11.1f} us", us_of(c.predicted))
                                     : "no prediction",
                   c == winner ? "  <- chosen" : "");
}

Bytes parse_size(const std::string& text) {
    const Bytes size = parse_flag("--size", text, parse_bytes);
    if (size.count() > 0) return size;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "--size",
                       .found = printable(text),
                       .expected = "at least 1 B",
                       .example = "64MiB"});
}

/// Two simulations a figure: by itself only where one takes well under a second.
bool wants_band(const Options& o, std::size_t ranks) {
    const std::size_t most = o.collective == "alltoall" ? 128 : 1024;
    const bool quick = o.endpoint != "ideal" && o.network != "packet" && ranks <= most;
    return pick<bool>("--band", o.band, {{"auto", quick}, {"on", true}, {"off", false}});
}

void write_files(const Options& o, const Scenario& s, const Result& r, double seconds) {
    Report report;
    report.result = &r;
    report.title = fmt::format("{} on {}", s.workload->name, s.fabric->name());
    report.subtitle =
        fmt::format("{} ranks ({}); library {}, network {}, endpoint {}", s.workload->world,
                    s.placement.description, o.library, o.network, o.endpoint);
    report.trust = first_line(r.trust, o.endpoint, s.machine.name);
    const std::filesystem::path out = o.out;
    write_atomically(out / "result.json", to_json(r));
    write_atomically(out / "report.html", html_report(report));
    write_atomically(out / "run.json", run_json({{"simulate_wall_s", seconds}}));
}

int run_sim(const Options& o) {
    const Fabric fabric = load_fabric(o.fabric);
    const std::size_t gpus = o.gpus == 0 ? fabric.gpus().size() : o.gpus;
    const Workload workload = one_collective(parse_collective(o.collective), parse_size(o.size),
                                             static_cast<std::uint32_t>(gpus));
    Scenario s;
    s.fabric = &fabric;
    s.workload = &workload;
    s.placement = o.segments > 0 ? segments_placement(fabric, gpus, o.segments)
                                 : packed_placement(fabric, gpus);
    s.library = {.name = o.library,
                 .qps_per_connection = o.qps,
                 .channels = o.channels,
                 .algorithm = o.algorithm};
    s.library.nvls = !o.no_nvls;
    if (!o.algorithm.empty()) (void)find_algorithm(parse_collective(o.collective), o.algorithm);
    s.network = pick<NetworkModel>("--network", o.network,
                                   {{"flow", NetworkModel::kFlow},
                                    {"packet", NetworkModel::kPacket},
                                    {"analytic", NetworkModel::kAnalytic}});
    s.packet = packet_options(o.packets, o.seed);
    s.endpoint = pick_endpoint(o.endpoint);
    s.machine = parse_flag("--machine", o.machine, find_profile);
    s.failures = failures_of(o.failures, fabric);
    s.seed = o.seed;
    s.symmetry = !o.no_symmetry;
    const bool band = wants_band(o, gpus);
    if (o.explain) explain(s, parse_collective(o.collective), parse_size(o.size));
    Result r;
    const auto start = std::chrono::steady_clock::now();
    {
        ProgressLine line;
        r = simulate_with_seeds(o.variation, s, line.sink());
        if (band) r.bands.push_back(band_by_figures(run_of(r, s), r, line.sink()));
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!o.out.empty()) write_files(o, s, r, took.count());
    if (o.json) fmt::print("{}\n", to_json(r));
    if (!o.json) print_text(s, r);
    return 0;
}

}  // namespace

void add_sim(CLI::App& app, std::function<int()>& run) {
    auto o = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand("sim", kHelp);
    sub->add_option("collective", o->collective, "allreduce, alltoall, ...")->required();
    sub->add_option("--size", o->size, "nccl-tests total, with a unit: 1GiB")->required();
    sub->add_option("--gpus", o->gpus, "ranks, one a GPU (default: all of the fabric)")
        ->check(in_range(1, 1 << 20));
    sub->add_option("--fabric", o->fabric, "family[:key=value,...] or a YAML file")
        ->capture_default_str();
    sub->add_option("--algorithm", o->algorithm, "default: the cheapest");
    sub->add_option("--library", o->library,
                    "weft, or what rivals run: nccl-static, nccl-2.18, nccl-2.30")
        ->capture_default_str();
    sub->add_option("--qps", o->qps, "QPs per connection (0: the library's own default)")
        ->check(in_range(0, 1024));
    sub->add_option("--channels", o->channels, "channels (0: the algorithm's own default)")
        ->check(in_range(0, 1024));
    sub->add_option("--network", o->network, "flow, packet or analytic")->capture_default_str();
    add_packet_flags(*sub, o->packets);
    sub->add_option("--endpoint", o->endpoint, kEndpoints)->capture_default_str();
    sub->add_option("--machine", o->machine,
                    "figures of the endpoint: nccl-tuning (published, nothing fitted), a100, h100 "
                    "or a machine they stand for, or a YAML file of `weft calibrate`")
        ->capture_default_str();
    sub->add_option("--segments", o->segments, "split the ranks evenly over so many segments")
        ->check(in_range(1, 1 << 16));
    add_failure_flags(*sub, o->failures);
    sub->add_flag("--no-symmetry", o->no_symmetry, "simulate every rank by itself");
    sub->add_option("--seed", o->seed, "of hashes and source ports")->capture_default_str();
    sub->add_option(
           "--band", o->band,
           "range of the time by the ranges of the machine's figures: on, off, or auto "
           "(on up to 1024 ranks, 128 of alltoall, without packets); two simulations a figure")
        ->capture_default_str();
    add_seed_flags(*sub, o->variation);
    sub->add_flag("--no-nvls", o->no_nvls, "NCCL without reduction in the NVSwitch");
    sub->add_option("-o,--out", o->out, "folder for report.html, result.json, run.json");
    CLI::Option* json = sub->add_flag("--json", o->json, "the whole Result");
    sub->add_flag("--explain", o->explain, "what NCCL's tuning model makes of the candidates")
        ->excludes(json);
    sub->callback([o, &run] { run = [o] { return run_sim(*o); }; });
}

}  // namespace weft::tools
