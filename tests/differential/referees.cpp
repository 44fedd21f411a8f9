#include "tests/differential/referees.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fstream>

#include "tests/support/skip.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft::tests {
namespace {

using namespace weft::packet;
using Json = nlohmann::json;

Fabric fabric_of(const Json& topology) {
    const int hosts = topology["hosts"];
    const bool star = topology["kind"] == "star";
    const int leaves = star ? 1 : topology["leaves"].get<int>();
    const int spines = star ? 0 : topology["spines"].get<int>();
    return make_fabric("leaf-spine", {{"leaves", std::to_string(leaves)},
                                      {"spines", std::to_string(spines)},
                                      {"hosts_per_leaf", std::to_string(hosts / leaves)}});
}

FlowSet flows_of(const Json& rows) {
    FlowSet set;
    for (const Json& row : rows) {
        FlowSpec f;
        f.src = GpuId{row[0].get<int>()};
        f.dst = GpuId{row[1].get<int>()};
        f.size = Bytes{row[2].get<std::int64_t>()};
        f.start = SimTime{row[3].get<std::int64_t>() * 1000};
        set.flows.push_back(f);
    }
    return set;
}

/// htsim's RoCE: line rate, go-back-N, PFC at 15 and 12 packets of an ingress, ACKs among the data.
PacketOptions htsim_roce(const std::string& referee) {
    PacketOptions o;
    o.congestion = "fixed-rate";
    o.ack_first = false;
    o.ack_every = Bytes{};
    BufferProfile memory = htsim_lossless_input(12, 15, Bytes{4096});
    memory.class_count = kClasses;
    memory.classes[kPayload] = memory.classes[0];
    o.memory = memory;
    if (referee == "csg_roce_pfc_ar") o.spread = Spread::kFlowlet;
    return o;
}

std::string simai_congestion(const std::string& referee) {
    const bool window = referee.find("_nowin") == std::string::npos;
    if (referee == "ns3_hpcc") return "hpcc:step=50Mbps,stages=0";
    if (referee.rfind("ns3_dctcp", 0) == 0)
        return fmt::format("dctcp:form={},gain=0.390625%,step=1000Mbps", window ? "both" : "rate");
    if (referee.rfind("ns3_timely", 0) == 0)
        return fmt::format("timely:form=hpcc-ns3,step=50Mbps,hurry=2,window={}",
                           window ? "on" : "off");
    return fmt::format("dcqcn:set=simai,window={}", window ? "on" : "off");
}

/// SimAI's ns-3: 9000 B of payload, HPCC's buffer rules, one window for all flows.
PacketOptions simai_ns3(const Json& derived, const std::string& referee) {
    PacketOptions o;
    o.congestion = simai_congestion(referee);
    o.payload = Bytes{9000};
    o.header = Bytes{derived["header_B"].get<std::int64_t>()};
    o.ack = Bytes{60 + derived["of_which_int_B"].get<std::int64_t>()};
    o.ack_every = Bytes{};
    o.ack_first = false;
    o.fill_window = true;
    o.repace = referee == "ns3_hpcc";
    o.memory = hpcc_ns3_buffer(Bytes{32 << 20});
    o.base_rtt = ns(derived["maxRtt_ns"].get<std::int64_t>());
    o.mark_by_algorithm = false;
    o.marking = {true, Bytes{800'000}, Bytes{3'200'000}, 200'000'000, true};
    return o;
}

/// htsim's UEC: queues of their own at every port, one round trip for all flows.
PacketOptions htsim_uec(const Json& derived, const std::string& referee) {
    PacketOptions o;
    const bool trims = referee != "uec_nscc_notrim";
    const auto trip = ns(static_cast<std::int64_t>(
        derived["network_max_unloaded_rtt_us"].get<double>() * 1000 + 0.5));
    o.recovery = Recovery::kUnordered;
    o.spread = referee == "uec_nscc_trim_oblivious" ? Spread::kEntropy : Spread::kMixed;
    o.overflow = trims ? Overflow::kTrim : Overflow::kDrop;
    o.overtaken = ~0U;  // only timeouts tell of drops
    o.memory = output_queues(Bytes{derived["queue_bytes"].get<std::int64_t>()});
    o.least_timeout =
        ns(static_cast<std::int64_t>(derived["min_rto_us"].get<double>() * 1000 + 0.5));
    o.mark_by_algorithm = false;
    o.marking = {true, Bytes{87'360}, Bytes{336'960}, 1'000'000'000, true};
    if (referee == "uec_rccc_trim") {
        o.congestion = "window";
        o.credits = true;
        o.base_rtt = trip;
        o.mark_towards_hosts = false;
    } else {
        o.congestion = fmt::format("nscc:network-rtt={}ps,target={}%", trip.ps(), trims ? 75 : 100);
    }
    return o;
}

/// htsim's Swift: 4096 B on the wire, drop-tail queues that never fill.
PacketOptions htsim_swift() {
    PacketOptions o;
    o.congestion = "swift";
    o.header = Bytes{};
    o.ack = Bytes{40};
    o.ack_every = Bytes{};
    o.ack_first = false;
    o.recovery = Recovery::kUnordered;
    o.overflow = Overflow::kDrop;
    o.memory = output_queues(Bytes{8'192'000});
    return o;
}

/// Flow by flow over the spines that the referee took, there and for ACKs.
std::vector<double> pinned_times(const Fabric& fabric, const FlowSet& set, const Json& spines,
                                 const PacketOptions& options) {
    Network network(fabric, options);
    const Router router(fabric);
    const auto links = [&](const FlowSpec& f, bool there) {
        const std::size_t n = &f - set.flows.data();
        const int spine = spines[n][there ? 0 : 1];
        const Edge edge = there ? router.edge(f.src, f.dst) : router.edge(f.dst, f.src);
        // Source ports are tried until the hash takes that spine.
        for (std::uint16_t port = 1; port < 60'000; ++port) {
            const Path p = path_of(fabric, *router.ecmp(edge, port));
            if (p.there.size() == 2) return p.there;
            if (fabric.node(fabric.link(p.there[1]).to).index == spine) return p.there;
        }
        return std::vector<LinkId>{};
    };
    std::vector<ConnectionId> connections;
    for (const FlowSpec& f : set.flows)
        connections.push_back(network.connect({links(f, true), links(f, false)}));
    for (std::size_t f = 0; f < set.flows.size(); ++f)
        network.send(connections[f], set.flows[f].size, f);
    std::vector<double> times;
    while (network.run() == Network::Stop::kReport)
        for (const Network::Report& r : network.take_reports())
            if (r.what == Network::What::kAcknowledged)
                times.push_back(static_cast<double>(network.now().ps()) / 1e6);
    return times;
}

}  // namespace

Json read_scenario(const std::string& scenario) {
    std::ifstream in(shared_data("referee/" + scenario + ".json"));
    return in ? Json::parse(in) : Json{};
}

PacketOptions referee_options(const std::string& referee, const Json& scenario) {
    const Json& derived = scenario["results"][referee]["derived"];
    if (referee.rfind("uec_", 0) == 0) return htsim_uec(derived, referee);
    if (referee.rfind("ns3_", 0) == 0) return simai_ns3(derived, referee);
    if (referee == "csg_swift") return htsim_swift();
    return htsim_roce(referee);
}

std::vector<double> our_times(const Json& scenario, const std::string& referee, std::size_t seed) {
    PacketOptions options = referee_options(referee, scenario);
    options.seed = seed + 1;
    const bool by_seed = scenario.contains("flows_by_seed");
    const FlowSet set = flows_of(by_seed ? scenario["flows_by_seed"][fmt::format("{}", seed + 1)]
                                         : scenario["flows"]);
    const Fabric fabric = fabric_of(scenario["topology"]);
    if (by_seed && referee.rfind("ns3_", 0) == 0)
        return pinned_times(fabric, set, scenario["ns3_path_by_seed"][fmt::format("{}", seed + 1)],
                            options);
    const FlowRun run = run_flows(fabric, set, options);
    std::vector<double> times;
    for (const FlowTimes& t : run.flows)
        times.push_back(static_cast<double>((t.acknowledged - t.start).ps()) / 1e6);
    std::sort(times.begin(), times.end());
    return times;
}

std::vector<double> their_times(const Json& scenario, const std::string& referee,
                                std::size_t seed) {
    const Json& lists = scenario["results"][referee]["fct"];
    std::vector<double> times = lists[std::min(seed, lists.size() - 1)];
    std::sort(times.begin(), times.end());
    return times;
}

std::size_t seeds_of(const Json& scenario, const std::string& referee) {
    return scenario["results"][referee]["fct"].size();
}

double mean_of(const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
}

double percentile_of(const std::vector<double>& sorted, double percent) {
    const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
    return sorted[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

}  // namespace weft::tests
