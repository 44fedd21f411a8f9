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
