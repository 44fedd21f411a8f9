// The packet engine against the flow engine, on the same scenarios. The flow engine's capacity is
// the goodput at that packet size: its links are made slower by the headers.
#include <catch2/catch.hpp>
#include <cmath>

#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

Workload one(Collective kind, Bytes size, std::uint32_t ranks) {
    Workload w;
    w.world = ranks;
    w.program_of.assign(ranks, 0);
    w.families = {{"world", {ranks, 1, {}, {}}}};
    Op op;
    op.what = CollectiveOp{kind, 0, size};
    w.programs = {{"all", {""}, {op}}};
    return w;
}

struct Case {
    const char* name;
    Collective kind;
    const char* algorithm;
    Bytes size;
    std::uint32_t ranks;
    std::size_t segments;
};

Scenario scenario_of(const Case& c, const Fabric& fabric, const Workload& w) {
    Scenario s;
    s.fabric = &fabric;
    s.workload = &w;
    s.placement = c.segments > 1 ? segments_placement(fabric, c.ranks, c.segments)
                                 : packed_placement(fabric, c.ranks);
    s.endpoint = EndpointModel::kIdeal;
    s.library.algorithm = c.algorithm;
    return s;
}

double seconds_of(const Result& r) {
    return static_cast<double>(r.step_time.ps()) * 1e-12;
}

/// HPN with ports and trunks that lose so much to headers.
Fabric hpn(bool goodput) {
    const auto rate = [&](std::int64_t gbps) {
        const std::int64_t bps = gbps * 1'000'000'000;
        return std::to_string(goodput ? bps / 4160 * 4096 : bps) + "bps";
    };
    return make_fabric("hpn7", {{"segments", "2"},
                                {"hosts_per_segment", "4"},
                                {"port_rate", rate(200)},
                                {"trunk_rate", rate(400)}});
}

}  // namespace

TEST_CASE("collectives without collisions take what the flow engine says, within 2 %",
          "[differential]") {
    const Case c = GENERATE(
        Case{"ring, one segment", Collective::kAllReduce, "ring", 64_MiB, 32, 1},
        Case{"hierarchical, one segment", Collective::kAllReduce, "hierarchical", 64_MiB, 32, 1},
        Case{"all-gather, one segment", Collective::kAllGather, "ring", 64_MiB, 32, 1},
        Case{"direct, one segment", Collective::kAllToAll, "direct", 64_MiB, 32, 1},
        Case{"one host", Collective::kAllReduce, "ring", 64_MiB, 8, 1},
        Case{"broadcast", Collective::kBroadcast, "", 64_MiB, 16, 1});
    const Fabric real = hpn(false);
    const Fabric goodput = hpn(true);
    const Workload w = one(c.kind, c.size, c.ranks);
    Scenario packets = scenario_of(c, real, w);
    packets.network = NetworkModel::kPacket;
    const double by_packets = seconds_of(simulate(packets));
    const double by_flow = seconds_of(simulate(scenario_of(c, goodput, w)));
    INFO(c.name << ": packets " << by_packets * 1e6 << " us, flow " << by_flow * 1e6 << " us");
    CHECK(std::abs(by_packets / by_flow - 1) < 0.02);
}

TEST_CASE("what a scale-up switch reduces goes over each of its links once", "[differential]") {
    const Case c =
        GENERATE(Case{"reduced and multicast", Collective::kAllReduce, "nvls", 512_MiB, 8, 1},
                 Case{"and rings between", Collective::kAllReduce, "nvls", 512_MiB, 32, 1},
                 Case{"multicast", Collective::kAllGather, "nvls", 512_MiB, 8, 1},
                 Case{"reduced", Collective::kReduceScatter, "nvls", 512_MiB, 8, 1});
    const Fabric real = hpn(false);
    const Fabric goodput = hpn(true);
    const Workload w = one(c.kind, c.size, c.ranks);
    Scenario packets = scenario_of(c, real, w);
    packets.network = NetworkModel::kPacket;
    const Result a = simulate(packets);
    const Result b = simulate(scenario_of(c, goodput, w));
    INFO(c.name << ": packets " << seconds_of(a) * 1e6 << " us, flow " << seconds_of(b) * 1e6);
    // Flows have no slices: the first and the last are alone on their ways, with rings between
    // twice.
    CHECK(seconds_of(a) >= seconds_of(b) * 0.999);
    CHECK(seconds_of(a) <= seconds_of(b) * (c.ranks > 8 ? 1.10 : 1.05));
    // An owner's own copy may still be under way at the end.
    for (std::size_t g = 0; g < a.link_groups.size(); ++g) {
        if (a.link_groups[g].kind != "scale-up") continue;
        const Bytes expected = b.link_groups[g].carried;
        CHECK(a.link_groups[g].carried <= expected);
        CHECK(a.link_groups[g].carried * 1000 >= expected * 999);
    }
}

TEST_CASE("where hashes collide, packets and flows name the same link", "[differential]") {
    const Case c{"", Collective::kAllToAll, "direct", 64_MiB, 64, 2};
    const Fabric real = hpn(false);
    const Fabric goodput = hpn(true);
    const Workload w = one(c.kind, c.size, c.ranks);
    for (const std::uint64_t seed : {1, 2, 3}) {
        Scenario packets = scenario_of(c, real, w);
        packets.network = NetworkModel::kPacket;
        Scenario flows = scenario_of(c, goodput, w);
        for (Scenario* s : {&packets, &flows}) {
            s->library.name = "nccl-static";
            s->library.qps_per_connection = 1;
            s->seed = seed;
        }
        const Result a = simulate(packets);
        const Result b = simulate(flows);
        REQUIRE(!a.busiest_links.empty());
        CHECK(a.busiest_links.front().name == b.busiest_links.front().name);
        CHECK(a.busiest_links.front().carried == b.busiest_links.front().carried);
    }
}

TEST_CASE("a port that fails in mid-run costs what is left of the other, and nothing is lost",
          "[differential]") {
    const Case c{"", Collective::kAllToAll, "direct", 64_MiB, 32, 1};
    const Fabric fabric = hpn(false);
    const Workload w = one(c.kind, c.size, c.ranks);
    Scenario s = scenario_of(c, fabric, w);
    s.network = NetworkModel::kPacket;
    const double healthy = seconds_of(simulate(s));
    s.failures = {
        link_down(fabric.find_link("host[0].nic[0]:0 > tor[0]"), SimTime{} + us(400), us(100))};
    const Result broken = simulate(s);
    CHECK(seconds_of(broken) > healthy * 1.2);
    CHECK(seconds_of(broken) < healthy * 2.2);
    CHECK(simulate(s).step_time == broken.step_time);
}
