// weft flows: traffic of a network, packet by packet: how long each flow takes.
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <sys/resource.h>

#include "simulator/packet/flow_summary.hpp"
#include "simulator/packet/summary.hpp"
#include "tools/commands.hpp"
#include "tools/failure_flags.hpp"
#include "tools/flags.hpp"
#include "tools/flows/print.hpp"
#include "tools/packet_flags.hpp"
#include "tools/report/report.hpp"
#include "tools/run_file.hpp"
#include "topology/io/document.hpp"
#include "topology/io/load.hpp"
#include "topology/io/ns3/topology.hpp"
#include "traces/hpcc/flow_list.hpp"
#include "traces/htsim/connections.hpp"
#include "traces/traffic/poisson.hpp"

namespace weft::tools {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr const char* kHelp =
    R"(Replay network traffic packet by packet: completion times, slowdowns, what switches did.

  weft flows traces/samples/triggers.cm --fabric traces/samples/fat_16.topo
  weft flows traces/samples/triggers.cm --fabric traces/samples/fat_16.topo --spread entropy
  weft flows traces/samples/flow_list.txt --fabric traces/samples/two_tors.txt --out weft-flows
  weft flows --generate websearch:load=50%,time=200us --fabric leaf-spine
  weft flows --generate websearch:load=50%,time=200us --fabric leaf-spine --fail 'agg[0]@50us'
  weft flows --generate websearch:load=30%,time=200us,incast=8,incast_load=2% --fabric leaf-spine

INPUT: a connection matrix of htsim (.cm, .tm) or a flow list of HPCC. Slowdown: completion over
what the flow takes on idle links. A flow completes when its sender knows that all has arrived.
--out DIR writes report.html (queues, completion times, pauses and their victims), result.json,
flows.csv (a line a flow) and run.json.)";

struct Options {
    std::string input;
    std::string generate;
    std::string fabric;
    std::string start_unit = "ps";
    PacketFlags packets;
    FailureFlags failures;
    std::uint64_t seed = 1;
    std::string out;
    bool json = false;
};

struct Loaded {
    Fabric fabric;
    FlowSet set;
    std::string name;
};

[[noreturn]] void reject(const std::string& key, const std::string& found,
                         const std::string& expected, const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

/// All ports of the first host's NIC.
Bandwidth host_rate(const Fabric& fabric) {
    if (fabric.nics().empty())
        reject("--generate", fabric.name(), "a fabric whose hosts have NICs", "--fabric hpn7");
    Bandwidth rate;
    for (const LinkId l : fabric.nics().front().ports) rate = rate + fabric.link(l).capacity;
    return rate;
}

/// Node ids of a flow list are those of the topology's file, where it is one of ns-3.
std::vector<GpuId> gpus_of_nodes(const std::string& fabric) {
    if (!is_fabric_file(fabric)) return {};
    const std::string text = read_text_file(fabric);
    if (!ns3::is_topology(text)) return {};
    return ns3::read_topology(text, fabric).gpu_of_node;
}

void read_input(const Options& o, Loaded& l) {
    l.name = std::filesystem::path(o.input).filename().string();
    const std::string text = read_text_file(o.input);
    const auto unit = pick<htsim::StartUnit>(
        "--start-unit", o.start_unit,
        {{"ps", htsim::StartUnit::kPicoseconds}, {"us", htsim::StartUnit::kMicroseconds}});
    if (htsim::is_connections(text)) {
        htsim::ConnectionMatrix m = htsim::read_connections(text, o.input, unit);
        htsim::remove_links(m, o.input, l.fabric);
        l.set = std::move(m.set);
    } else if (hpcc::is_flow_list(text)) {
        l.set = hpcc::read_flow_list(text, o.input, gpus_of_nodes(o.fabric));
    } else {
        throw ConfigError({.file = o.input,
                           .line = 1,
                           .key = {},
                           .found = printable(text.substr(0, text.find('\n'))),
                           .expected = "the start of a connection matrix of htsim (Nodes, "
                                       "Connections) or of a flow list of HPCC (a count)",
                           .example = "Nodes 128"});
    }
}

Loaded load(const Options& o) {
    if (o.input.empty() == o.generate.empty())
        reject("flows", o.input.empty() ? "neither INPUT nor --generate" : "both",
               "one of INPUT and --generate", "weft flows incast.cm --fabric tree.topo");
    Loaded l;
    l.fabric = load_fabric(o.fabric);
    if (o.generate.empty()) {
        read_input(o, l);
    } else {
        l.name = o.generate;
        l.set = traffic::generate(o.generate, l.fabric.gpus().size(), host_rate(l.fabric), o.seed);
    }
    check_ends(l.set, l.fabric.gpus().size());
    return l;
}

std::size_t megabytes_used() {
    rusage usage{};
    return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::size_t>(usage.ru_maxrss) / 1024
                                               : 0;
}

bool all_finished(const std::vector<packet::FlowGroup>& groups) {
    for (const packet::FlowGroup& g : groups)
        if (g.finished + g.never_started < g.flows) return false;
    return true;
}

int run_flows_command(const Options& o) {
    const auto begin = steady_clock::now();
    FlowReport r;
    r.options = packet_options(o.packets, o.seed);
    const Loaded l = load(o);
    const auto loaded = steady_clock::now();
    Bytes fullest;
    r.failures = failures_of(o.failures, l.fabric);
    const packet::FlowRun run = packet::run_flows(
        l.fabric, l.set, r.options,
        [&](const packet::Network& n) {
            for (const SharedBuffer& memory : n.memories())
                fullest = std::max(fullest, memory.peak());
            r.packets = packet::summarize(l.fabric, n);
        },
        r.failures);
    const duration<double> simulated = steady_clock::now() - loaded;
    const duration<double> reading = loaded - begin;
    r.fabric = &l.fabric;
    r.set = &l.set;
    r.run = &run;
    r.input = l.name;
    r.groups = packet::summarize(l.set, run);
    r.fullest_switch = fullest;
    r.packets.completions = completions_of(l.set, run);
    const std::string json = flows_json(r);
    if (!o.out.empty()) {
        const std::filesystem::path out = o.out;
        write_atomically(out / "result.json", json);
        write_atomically(out / "flows.csv", flows_csv(r));
        write_atomically(out / "report.html", flows_page(r));
        write_atomically(out / "run.json", run_json({{"load_wall_s", reading.count()},
                                                     {"simulate_wall_s", simulated.count()}}));
    }
    fmt::print("{}", o.json ? json : flows_text(r));
    fmt::print(stderr, "{:.2f} s, {:.1f} M hops/s, {} MB\n", simulated.count(),
               static_cast<double>(run.totals.all_hops) / 1e6 / simulated.count(),
               megabytes_used());
    if (all_finished(r.groups)) return 0;
    fmt::print(stderr, "weft: some flows did not finish\n");
    return 1;
}

}  // namespace

void add_flows(CLI::App& app, std::function<int()>& run) {
    CLI::App* sub = app.add_subcommand("flows", kHelp);
    const auto o = std::make_shared<Options>();
    sub->add_option("input", o->input, "a connection matrix or a flow list");
    std::string keys;
    for (const Parameter& p : traffic::generator_info().parameters)
        keys += fmt::format("{}{}={} ({})", keys.empty() ? "" : ", ", p.name, p.fallback,
                            p.description);
    sub->add_option("--generate", o->generate,
                    "websearch or a CDF file, :key=value,... of " + keys);
    sub->add_option("--fabric,--topology", o->fabric,
                    "a family, or a file: Weft's YAML, htsim's .topo, ns-3's topology")
        ->required();
    sub->add_option("--start-unit", o->start_unit,
                    "of a connection matrix: ps, as generators write, or us, as htsim_uec reads")
        ->capture_default_str();
    add_packet_flags(*sub, o->packets);
    add_failure_flags(*sub, o->failures);
    sub->add_option("--seed", o->seed, "of generated traffic, source ports and marks")
        ->capture_default_str();
    sub->add_option("-o,--out", o->out, "folder for report.html, result.json, flows.csv, run.json");
    sub->add_flag("--json", o->json, "print result.json instead of text");
    sub->callback([o, &run] { run = [o] { return run_flows_command(*o); }; });
}

}  // namespace weft::tools
