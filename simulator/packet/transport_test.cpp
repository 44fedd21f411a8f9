// What NICs do with loss, order and rates.
#include <algorithm>
#include <catch2/catch.hpp>

#include "simulator/packet/flow_run.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using namespace weft::packet;

namespace {

Fabric star(int hosts) {
    return make_fabric(
        "leaf-spine",
        {{"leaves", "1"}, {"spines", "0"}, {"hosts_per_leaf", std::to_string(hosts)}});
}

/// So many hosts send to host 0 at once.
FlowSet incast(std::size_t senders, Bytes size) {
    FlowSet set;
    for (std::size_t s = 1; s <= senders; ++s) {
        FlowSpec f;
        f.src = GpuId{s};
        f.dst = GpuId{0};
        f.size = size;
        set.flows.push_back(f);
    }
    return set;
}

/// Queues of 32 packets, too short for two windows: DCTCP's marks come too late at first.
PacketOptions dropping(Recovery recovery) {
    PacketOptions o;
    o.recovery = recovery;
    o.overflow = Overflow::kDrop;
    o.congestion = "dctcp";
    o.queue = Bytes{32 * 4160};
    return o;
}

double goodput(const FlowSet& set, const FlowRun& run) {
    std::int64_t bytes = 0, last = 0;
    for (std::size_t f = 0; f < set.flows.size(); ++f) {
        bytes += set.flows[f].size.count();
        last = std::max(last, run.flows[f].arrived.ps());
    }
    return static_cast<double>(bytes) * 8e3 / static_cast<double>(last);  // Gbit/s
}

}  // namespace

TEST_CASE("selective repeat sends again what is lost, go-back-N what follows it too", "[unit]") {
    const Fabric fabric = star(3);
    const FlowSet set = incast(2, 4_MiB);
    const FlowRun back = run_flows(fabric, set, dropping(Recovery::kGoBackN));
    const FlowRun repeat = run_flows(fabric, set, dropping(Recovery::kSelectiveRepeat));
    CHECK(back.totals.refused > 0);
    CHECK(repeat.totals.refused == 0);
    CHECK(repeat.totals.duplicates == 0);
    CHECK(repeat.totals.repeated == repeat.totals.dropped_data);
    CHECK(back.totals.repeated == back.totals.dropped_data + back.totals.refused);
    CHECK(goodput(set, repeat) > goodput(set, back));
}

TEST_CASE("unordered delivery learns of drops from packets that overtook them", "[unit]") {
    const Fabric fabric = star(3);
    const FlowSet set = incast(2, 4_MiB);
    PacketOptions o = dropping(Recovery::kUnordered);
    o.least_timeout = ms(10);
    const FlowRun learns = run_flows(fabric, set, o);
    o.overtaken = 1U << 20;  // never: each loss waits for its timeout
    const FlowRun waits = run_flows(fabric, set, o);
    CHECK(learns.totals.dropped_data > 0);
    CHECK(goodput(set, learns) > 2 * goodput(set, waits));
    CHECK(waits.totals.timeouts > learns.totals.timeouts);
}

TEST_CASE("a reorder buffer bounds how far packets run ahead", "[property]") {
    const Fabric fabric =
        make_fabric("leaf-spine", {{"leaves", "2"}, {"spines", "4"}, {"hosts_per_leaf", "4"}});
    FlowSet set;
    for (std::size_t i = 0; i < 4; ++i) {
        FlowSpec f;
        f.src = GpuId{i};
        f.dst = GpuId{4 + i};
        f.size = 1_MiB;
        set.flows.push_back(f);
    }
    PacketOptions o;
    o.spread = Spread::kEntropy;
    o.recovery = Recovery::kUnordered;
    SimTime before = SimTime::never();
    for (const std::int64_t packets : {1, 4, 16, 64}) {
        o.reorder_buffer = Bytes{packets * 4096};
        const FlowRun run = run_flows(fabric, set, o);
        CHECK(run.totals.repeated == 0);
        CHECK(run.end < before);
        before = run.end;
    }
    // One packet a round trip: 8 us of latency, and each link's time for it and its ACK.
    o.reorder_buffer = Bytes{4096};
    set.flows.resize(1);
    const FlowRun slow = run_flows(fabric, set, o);
    CHECK(slow.flows[0].acknowledged.ps() == 256 * (4 * (83'200 + 1'280) + 8 * 1'000'000));
}

TEST_CASE("credits share a port between senders, and leave its queue empty", "[property]") {
    const Fabric fabric = star(17);
    const FlowSet set = incast(16, 4_MiB);
    PacketOptions o;
    o.credits = true;
    o.recovery = Recovery::kUnordered;
    o.overflow = Overflow::kTrim;
    const FlowRun run = run_flows(fabric, set, o);
    CHECK(run.totals.credit_granted == run.totals.credit_wanted);
    // 99 % of the port once the first windows are through.
    CHECK(goodput(set, run) > 0.97 * 400 * 4096 / 4160);
    SimTime first = SimTime::never(), last;
    for (const FlowTimes& t : run.flows) {
        first = std::min(first, t.arrived);
        last = std::max(last, t.arrived);
    }
    CHECK((last - first).ps() * 100 < last.ps());
}

TEST_CASE("credits come for messages that follow, at once or after a rest", "[unit]") {
    const Fabric fabric = star(2);
    PacketOptions o;
    o.credits = true;
    o.recovery = Recovery::kUnordered;
    FlowSet set = incast(1, 3_MiB);
    set.flows[0].connection = 0;
    for (const int start : {20, 60, 200, 900}) {
        set.flows.push_back(set.flows[0]);
        set.flows.back().start = SimTime{} + us(start);
    }
    const FlowRun run = run_flows(fabric, set, o);
    for (const FlowTimes& t : run.flows) CHECK(t.acknowledged != SimTime::never());
    CHECK(run.totals.timeouts == 0);
    CHECK(run.totals.credit_granted == run.totals.credit_wanted);
    // The last finds an idle port: a window, and credit as it runs out.
    const FlowTimes& t = run.flows.back();
    CHECK((t.acknowledged - t.start).ps() < t.alone.ps() * 102 / 100);
}

TEST_CASE("NICs and queue pairs keep to their limits", "[unit]") {
    const Fabric fabric = star(3);
    FlowSet set = incast(1, 8_MiB);
    FlowSpec second = set.flows[0];
    second.dst = GpuId{2};
    set.flows.push_back(second);  // two queue pairs of one NIC
    PacketOptions o;
    o.nic_rate = 100_Gbps;
    CHECK(goodput(set, run_flows(fabric, set, o)) == Approx(100.0 * 4096 / 4160).epsilon(0.003));
    o.nic_rate = Bandwidth{};
    o.qp_rate = 100_Gbps;
    CHECK(goodput(set, run_flows(fabric, set, o)) == Approx(200.0 * 4096 / 4160).epsilon(0.003));
    o.nic_rate = 150_Gbps;
    CHECK(goodput(set, run_flows(fabric, set, o)) == Approx(150.0 * 4096 / 4160).epsilon(0.003));
}

TEST_CASE("credits survive a receiver whose port is down at first", "[unit]") {
    const Fabric fabric = star(2);
    PacketOptions o;
    o.credits = true;
    o.recovery = Recovery::kUnordered;
    Network network(fabric, o);
    const LinkId port = fabric.nic(NicId{1}).ports.front();
    const Router router(fabric);
    for (const LinkId l : {port, reverse(port)}) network.set_rate(l, Bandwidth{});
    const ConnectionId c =
        network.connect(path_of(fabric, *router.ecmp(router.edge(GpuId{0}, GpuId{1}), 49152)));
    network.send(c, 4_MiB, 0);
    network.wake_at(SimTime{} + us(700));
    while (network.run() == Network::Stop::kReport) (void)network.take_reports();
    for (const LinkId l : {port, reverse(port)}) network.set_rate(l, 400_Gbps);
    network.wake_at(SimTime::never());
    bool arrived = false;
    while (network.run() == Network::Stop::kReport)
        for (const Network::Report& r : network.take_reports())
            arrived = arrived || r.what == Network::What::kArrived;
    CHECK(arrived);
    CHECK(network.totals().timeouts > 0);
}
