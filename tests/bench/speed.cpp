// What the packet engine costs, one row a process so that its peak of memory is its own:
//     speed            the names of the rows
//     speed ROW [MiB]  runs one, with flows of so many MiB, and prints what it took as JSON
// speed.py beside it runs them all and holds them against their floors.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <numeric>
#include <optional>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "simulator/packet/flow_run.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/htsim/topo.hpp"
#ifdef WEFT_WITH_NS3
#include "simulator/ns3/core.hpp"
#include "simulator/ns3/referee.hpp"
#endif

namespace weft::packet {
namespace {

/// The two topologies that other simulators are measured on, as htsim's files say them.
constexpr const char* kFatTree1024 =
    "Nodes 1024\nTiers 3\nPodsize 64\n"
    "Tier 0\nOversubscribed 1\nDownlink_speed_Gbps 200\nRadix_Down 8\nRadix_Up 8\n"
    "Downlink_Latency_ns 1000\nSwitch_Latency_ns 0\n"
    "Tier 1\nOversubscribed 1\nDownlink_speed_Gbps 200\nRadix_Down 8\nRadix_Up 8\n"
    "Downlink_Latency_ns 1000\nSwitch_Latency_ns 0\n"
    "Tier 2\nDownlink_speed_Gbps 200\nRadix_Down 16\nDownlink_Latency_ns 1000\n"
    "Switch_Latency_ns 0\n";
constexpr const char* kLeafSpine8192 =
    "Nodes 8192\nTiers 2\nPodsize 8192\n"
    "Tier 0\nDownlink_speed_Gbps 400\nRadix_Down 64\nRadix_Up 64\nDownlink_Latency_ns 1000\n"
    "Oversubscribed 1\nSwitch_Latency_ns 0\n"
    "Tier 1\nDownlink_speed_Gbps 400\nRadix_Down 128\nDownlink_Latency_ns 1000\n"
    "Switch_Latency_ns 0\n";

/// The fabric of `text`, which has to be that of the file wherever the file is.
Fabric topology(const char* text, const std::string& file) {
    Fabric fabric = htsim::read_topology(text, file);
    std::ifstream in(std::filesystem::path(WEFT_SHARED_DATA) / "speed" / file);
    if (!in) return fabric;
    const std::string there{std::istreambuf_iterator<char>(in), {}};
    WEFT_CHECK(htsim::read_topology(there, file).digest() == fabric.digest(),
               "the fabric of {} is another one", file);
    return fabric;
}

FlowSpec flow(std::size_t src, std::size_t dst, Bytes size) {
    FlowSpec f;
    f.src = GpuId{src};
    f.dst = GpuId{dst};
    f.size = size;
    return f;
}

FlowSet permutation(std::size_t hosts, Bytes size) {
    std::vector<std::size_t> to(hosts);
    std::iota(to.begin(), to.end(), std::size_t{0});
    RandomStream draw(1, 0, "permutation");
    for (std::size_t i = hosts - 1; i > 0; --i) std::swap(to[i], to[draw.below(i + 1)]);
    FlowSet set;
    for (std::size_t i = 0; i < hosts; ++i)
        if (to[i] != i) set.flows.push_back(flow(i, to[i], size));
    return set;
}

/// Each ninth host of a shuffled order receives from the eight that follow it.
FlowSet incasts(std::size_t hosts, Bytes size) {
    std::vector<std::size_t> order(hosts);
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomStream draw(1, 0, "incasts");
    for (std::size_t i = hosts - 1; i > 0; --i) std::swap(order[i], order[draw.below(i + 1)]);
    FlowSet set;
    for (std::size_t i = 0; i + 8 < hosts; i += 9)
        for (std::size_t k = 1; k <= 8; ++k)
            set.flows.push_back(flow(order[i + k], order[i], size));
    return set;
}

struct Work {
    Fabric fabric;
    FlowSet set;
    PacketOptions options;
};

PacketOptions transport(bool spray) {
    PacketOptions o;
    o.congestion = "nscc";
    o.ack_every = 16_KiB;
    if (!spray) return o;  // PFC, go-back-N, the path that the 5-tuple hashes to
    o.spread = Spread::kEntropy;
    o.recovery = Recovery::kUnordered;
    o.overflow = Overflow::kTrim;
    return o;
}

Work fat_tree_1024(bool spray, Bytes size) {
    return {topology(kFatTree1024, "fat_tree_1024_1os.topo"), permutation(1024, size),
            transport(spray)};
}
Work leaf_spine_8192(bool spray, Bytes size) {
    return {topology(kLeafSpine8192, "leaf_spine_8192_400g.topo"), permutation(8192, size),
            transport(spray)};
}
/// PFC alone holds what eight senders at line rate send to one.
Work stress(bool, Bytes size) {
    PacketOptions o = transport(true);
    o.congestion = "fixed-rate";
    o.overflow = Overflow::kPause;
    return {
        make_fabric("leaf-spine", {{"leaves", "16"}, {"hosts_per_leaf", "64"}, {"spines", "60"}}),
        incasts(1024, size), o};
}
/// What UDP does: senders at nine tenths of the line rate, no answers.
Work udp_64(bool, Bytes size) {
    Work w{make_fabric("leaf-spine", {}), permutation(64, size), {}};
    for (FlowSpec& f : w.set.flows) f.rate = 360_Gbps;
    w.options.header = Bytes{30};
    w.options.ack_every = Bytes{std::int64_t{1} << 40};
    w.options.congestion = "fixed-rate";
    w.options.overflow = Overflow::kDrop;
    w.options.memory = output_queues(Bytes{std::int64_t{1} << 31});
    w.options.least_timeout = ms(1000);
    return w;
}

enum class Engine { kOurs, kNs3, kNs3Core };

struct Row {
    const char* name;
    Work (*make)(bool, Bytes);
    bool spray;
    std::int64_t mib;
    Engine engine;
};
constexpr Row kRows[] = {
    {"1024-ecmp-pfc", fat_tree_1024, false, 4, Engine::kOurs},
    {"1024-spray-trim", fat_tree_1024, true, 4, Engine::kOurs},
    {"8192-ecmp-pfc", leaf_spine_8192, false, 1, Engine::kOurs},
    {"8192-spray-trim", leaf_spine_8192, true, 1, Engine::kOurs},
    {"stress-pfc-incast", stress, true, 4, Engine::kOurs},
    {"udp-64", udp_64, false, 8, Engine::kOurs},
#ifdef WEFT_WITH_NS3
    {"udp-64-on-ns3", udp_64, false, 8, Engine::kNs3},
    {"udp-64-on-ns3-core", udp_64, false, 8, Engine::kNs3Core},
#endif
};

double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}
double wall_seconds() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
}

/// Peak of this program's memory in MB.
double peak_mb() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
        if (word == "VmHWM:") {
            double kib = 0;
            status >> kib;
            return kib * 1024 / 1e6;
        }
    return 0;
}

struct Measured {
    Totals totals;
    double simulated_us = 0;
    std::size_t unfinished = 0;
};

Measured measured(const FlowRun& run) {
    Measured m{run.totals, static_cast<double>(run.end.ps()) / 1e6, 0};
    for (const FlowTimes& t : run.flows)
        if (t.acknowledged == SimTime::never()) ++m.unfinished;
    return m;
}

#ifdef WEFT_WITH_NS3
Measured measured(const foreign::StockRun& run) {
    Measured m;
    m.totals.events = run.events;
    m.totals.data_hops = m.totals.all_hops = run.hops;
    m.totals.dropped = run.dropped;
    for (const std::int64_t t : run.arrived_ps) {
        if (t < 0) ++m.unfinished;
        m.simulated_us = std::max(m.simulated_us, static_cast<double>(t) / 1e6);
    }
    return m;
}
#endif

Measured run_on(Engine engine, const Work& w) {
#ifdef WEFT_WITH_NS3
    if (engine == Engine::kNs3) return measured(foreign::run_udp(w.fabric, w.set, {}));
    if (engine == Engine::kNs3Core)
        return measured(foreign::run_on_core(w.fabric, w.set, w.options));
#endif
    WEFT_CHECK(engine == Engine::kOurs, "ns-3 is not here");
    return measured(run_flows(w.fabric, w.set, w.options));
}

void run(const Row& row, Bytes size) {
    const double begun = cpu_seconds();
    const Work w = row.make(row.spray, size);
    const double wall = wall_seconds(), cpu = cpu_seconds();
    const Measured m = run_on(row.engine, w);
    const double wall_s = wall_seconds() - wall, cpu_s = cpu_seconds() - cpu;
    const Totals& t = m.totals;
    fmt::print(
        "{{\"row\": \"{}\", \"flows\": {}, \"unfinished\": {}, \"fabric_s\": {:.3f}, "
        "\"wall_s\": {:.3f}, \"cpu_s\": {:.3f}, \"events\": {}, \"data_hops\": {}, "
        "\"all_hops\": {}, \"simulated_us\": {:.1f}, \"peak_mb\": {:.1f}, \"pauses\": {}, "
        "\"marked\": {}, \"trimmed\": {}, \"dropped\": {}, \"repeated\": {}}}\n",
        row.name, w.set.flows.size(), m.unfinished, cpu - begun, wall_s, cpu_s, t.events,
        t.data_hops, t.all_hops, m.simulated_us, peak_mb(), t.pauses, t.marked, t.trimmed,
        t.dropped, t.repeated);
}

int main_of(int argc, char** argv) {
    if (argc < 2) {
        for (const Row& row : kRows) fmt::print("{}\n", row.name);
        return 0;
    }
    for (const Row& row : kRows)
        if (std::string(argv[1]) == row.name) {
            run(row, argc > 2 ? Bytes{static_cast<std::int64_t>(std::stod(argv[2]) * (1 << 20))}
                              : row.mib * 1_MiB);
            return 0;
        }
    fmt::print(stderr, "no row {}\n", argv[1]);
    return 2;
}

}  // namespace
}  // namespace weft::packet

int main(int argc, char** argv) {
    return weft::packet::main_of(argc, argv);
}
