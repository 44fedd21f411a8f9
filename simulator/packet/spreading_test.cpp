// Who chooses among equal paths, and what comes of it.
#include <algorithm>
#include <catch2/catch.hpp>

#include "simulator/packet/flow_run.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using namespace weft::packet;

namespace {

constexpr std::size_t kHosts = 8;  // of a leaf; as many spines

/// Two leaves; every host of the first sends to one of the second.
Fabric two_leaves() {
    return make_fabric("leaf-spine", {{"leaves", "2"}, {"spines", "8"}, {"hosts_per_leaf", "8"}});
}

PacketOptions spraying(Spread spread) {
    PacketOptions o;
    o.spread = spread;
    o.recovery = Recovery::kUnordered;
    o.overflow = Overflow::kTrim;
    o.congestion = "nscc";
    o.ack_every = Bytes{};  // every packet tells of its path
    return o;
}

/// The ports of the first leaf towards spines, in their order.
std::vector<LinkId> uplinks(const Fabric& fabric) {
    std::vector<LinkId> up;
    const NodeId leaf = fabric.link(fabric.nic(NicId{0}).ports.front()).to;
    for (const LinkId l : fabric.out(leaf))
        if (fabric.link(l).kind == LinkKind::kFabric) up.push_back(l);
    return up;
}

/// All of it arrived, where one of the eight spines is reached at a tenth of the rate.
SimDuration time_with_a_slow_spine(Spread spread) {
    const Fabric fabric = two_leaves();
    Network network(fabric, spraying(spread));
    const Router router(fabric);
    std::vector<ConnectionId> all;
    for (std::size_t h = 0; h < kHosts; ++h) {
        const Route r = *router.ecmp(router.edge(GpuId{h}, GpuId{kHosts + h}), 49152);
        all.push_back(network.connect(path_of(fabric, r)));
    }
    network.set_rate(uplinks(fabric).front(), 40_Gbps);
    for (std::size_t h = 0; h < kHosts; ++h) network.send(all[h], 4_MiB, h);
    while (network.run() == Network::Stop::kReport) (void)network.take_reports();
    CHECK(network.totals().delivered == kHosts * 1024);
    return network.now() - SimTime{};
}

}  // namespace

TEST_CASE("who looks at queues or answers avoids a slow spine", "[property]") {
    const SimDuration even = time_with_a_slow_spine(Spread::kEntropy);
    for (const Spread s : {Spread::kBitmap, Spread::kReps, Spread::kMixed, Spread::kShortest,
                           Spread::kAdaptive, Spread::kTwoChoices}) {
        const SimDuration time = time_with_a_slow_spine(s);
        INFO(name_of(s) << " " << time.ps() / 1000000 << " us, entropy " << even.ps() / 1000000);
        // A bitmap forgives an entropy after a few rounds.
        CHECK(time.ps() * 100 < even.ps() * (s == Spread::kBitmap ? 95 : 60));
    }
}

TEST_CASE("flowlets keep a steady flow on its port and move one that pauses", "[unit]") {
    const Fabric fabric = two_leaves();
    const auto ports_used = [&](SimDuration pause) {
        FlowSet set;
        for (int i = 0; i < 40; ++i) {
            FlowSpec f;
            f.src = GpuId{0};
            f.dst = GpuId{kHosts};
            f.size = 64_KiB;  // 1.3 us
            f.start = SimTime{} + i * pause;
            f.connection = 0;
            set.flows.push_back(f);
        }
        PacketOptions o;
        o.spread = Spread::kFlowlet;
        std::size_t used = 0;
        const FlowRun run = run_flows(fabric, set, o, [&](const Network& n) {
            for (const LinkId l : uplinks(fabric)) used += n.counts(l).payload > 0 ? 1 : 0;
        });
        CHECK(run.totals.refused == 0);  // nothing was overtaken
        return used;
    };
    CHECK(ports_used(us(2)) == 1);
    CHECK(ports_used(us(40)) == 8);
}

TEST_CASE("ports that only spread packets use mark as well", "[unit]") {
    const Fabric fabric = two_leaves();
    Network network(fabric, spraying(Spread::kEntropy));
    for (const LinkId l : uplinks(fabric)) network.set_rate(l, 40_Gbps);
    const Router router(fabric);
    const Route r = *router.ecmp(router.edge(GpuId{0}, GpuId{kHosts}), 49152);
    network.send(network.connect(path_of(fabric, r)), 16_MiB, 0);
    while (network.run() == Network::Stop::kReport) (void)network.take_reports();
    // Entropies do not load all alike; the connection's own route has but one of them.
    int marking = 0;
    for (const LinkId l : uplinks(fabric)) marking += network.counts(l).marked > 0 ? 1 : 0;
    CHECK(marking >= 4);
}
