// Our packet engine against ns-3's own point-to-point devices, drop-tail queues and UDP, on random
// scenarios of flows at fixed rates: the last packet of every flow arrives within max(1 %, 2 MTU
// times) of each other's time. Both count 30 B of headers a packet and never drop.
//
// What the two do alike, and why it then agrees: links store and forward, switches have one queue
// an egress, senders offer a packet an interval whatever the NIC does. What they do differently: a
// NIC of ns-3 sends first come first served, ours takes its connections in turn, so a packet of
// flows that share a NIC may trade its place; packets that meet at the same picosecond may be
// queued in either order.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <map>

#include "base/rng.hpp"
#include "flow_control/cc/congestion_control.hpp"
#include "simulator/ns3/core.hpp"
#include "simulator/ns3/referee.hpp"
#include "simulator/packet/flow_run.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using namespace weft::packet;

namespace {

constexpr std::int64_t kUdpPayload = 4096;
constexpr std::int64_t kWire = kUdpPayload + foreign::kStockHeader;

std::int64_t one_of(RandomStream& draw, std::initializer_list<std::int64_t> values) {
    return values.begin()[draw.below(values.size())];
}

/// At most 64 hosts. Trunks from a quarter of what the hosts send to twice as much.
Fabric random_leaf_spine(RandomStream& draw) {
    const auto leaves = 2 + draw.below(7);
    const auto hosts = 1 + draw.below(8);
    const auto rate = one_of(draw, {100, 200, 400});
    return make_fabric("leaf-spine",
                       {{"leaves", std::to_string(leaves)},
                        {"hosts_per_leaf", std::to_string(hosts)},
                        {"spines", std::to_string(1 + draw.below(4))},
                        {"rate", std::to_string(rate) + "Gbps"},
                        {"trunk_rate", std::to_string(rate * one_of(draw, {1, 2})) + "Gbps"},
                        {"latency", std::to_string(one_of(draw, {200, 1000, 3000})) + "ns"}});
}

/// HPN's dual planes and its single one, 8 GPUs and 8 NICs of two ports a host.
Fabric random_hpn(RandomStream& draw) {
    return make_fabric("hpn7", {{"segments", std::to_string(1 + draw.below(2))},
                                {"hosts_per_segment", std::to_string(2 + draw.below(3))},
                                {"backup_hosts", "0"},
                                {"mode", draw.below(2) == 0 ? "dual-plane" : "single-plane"}});
}

/// Flows of 1 to 4 MB at any rate that their NIC's port has left; what meets behind it may be more
/// than a link takes.
FlowSet random_flows(const Fabric& fabric, RandomStream& draw, std::uint64_t seed) {
    const Router router(fabric);
    std::map<LinkId, std::int64_t> left;  // of a NIC's port
    FlowSet set;
    const std::uint64_t wanted = 2 + draw.below(15);
    const std::uint64_t hot = draw.below(fabric.gpus().size());  // a destination of many
    while (set.flows.size() < wanted) {
        FlowSpec f;
        f.src = GpuId{draw.below(fabric.gpus().size())};
        f.dst = GpuId{draw.below(3) == 0 ? hot : draw.below(fabric.gpus().size())};
        f.size = Bytes{kUdpPayload * static_cast<std::int64_t>(256 + draw.below(769))};
        f.start = SimTime{static_cast<std::int64_t>(draw.below(200'000'000))};
        const auto share = static_cast<std::int64_t>(50 + draw.below(951));  // of 1000
        if (fabric.gpu(f.src).host == fabric.gpu(f.dst).host) continue;
        const auto number = static_cast<std::uint32_t>(set.flows.size());
        const LinkId port = flow_path(router, f, number, seed).there.front();
        const std::int64_t all = fabric.link(port).capacity.bits_per_second();
        std::int64_t& rest = left.try_emplace(port, all).first->second;
        if (rest < all / 20) return set;
        f.rate = Bandwidth{std::min(rest, all / 1000 * share)};
        rest -= f.rate.bits_per_second();
        set.flows.push_back(f);
    }
    return set;
}

FlowRun ours(const Fabric& fabric, const FlowSet& set, std::uint64_t seed) {
    PacketOptions o;
    o.header = Bytes{foreign::kStockHeader};
    o.ack_every = Bytes{std::int64_t{1} << 40};  // one a flow, at its end
    o.congestion = "fixed-rate";
    o.overflow = Overflow::kDrop;
    o.memory = output_queues(Bytes{std::int64_t{1} << 31});
    o.least_timeout = ms(1000);
    o.seed = seed;
    return run_flows(fabric, set, o);
}

/// Of a packet over the slowest link of the flow's path.
std::int64_t mtu_time(const Fabric& fabric, const FlowSet& set, std::uint32_t f,
                      std::uint64_t seed) {
    const Router router(fabric);
    std::int64_t slowest = 0;
    for (const LinkId l : flow_path(router, set.flows[f], f, seed).there)
        slowest = std::max(slowest, transfer_time(Bytes{kWire}, fabric.link(l).capacity).ps());
    return slowest;
}

// Under a sanitizer ns-3's allocations take a minute.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kScenarios = 8;
#else
constexpr std::uint64_t kScenarios = 50;
#endif

struct Comparison {
    std::size_t flows = 0;
    std::size_t queued = 0;  // flows that took more than 5 % longer than alone at their rate
    double worst = 0;        // difference over what is allowed
};

void compare(std::uint64_t seed, Comparison& sum) {
    RandomStream draw(seed, 0, "ns-3");
    const Fabric fabric = seed % 2 == 0 ? random_hpn(draw) : random_leaf_spine(draw);
    const FlowSet set = random_flows(fabric, draw, seed);
    const foreign::StockRun theirs = foreign::run_udp(fabric, set, {.seed = seed});
    const FlowRun us = ours(fabric, set, seed);
    REQUIRE(theirs.dropped == 0);
    REQUIRE(us.totals.dropped == 0);
    CHECK(us.totals.data_hops == theirs.hops);
    for (std::uint32_t f = 0; f < set.flows.size(); ++f) {
        const std::int64_t start = set.flows[f].start.ps();
        const std::int64_t them = theirs.arrived_ps[f] - start;
        const std::int64_t mine = us.flows[f].arrived.ps() - start;
        const std::int64_t allowed = std::max(them / 100, 2 * mtu_time(fabric, set, f, seed));
        INFO("seed " << seed << " flow " << f << ": " << mine << " ps, ns-3 " << them);
        CHECK(std::abs(mine - them) <= allowed);
        ++sum.flows;
        sum.worst = std::max(
            sum.worst, static_cast<double>(std::abs(mine - them)) / static_cast<double>(allowed));
        const auto alone = transfer_time(Bytes{set.flows[f].size.count() / kUdpPayload * kWire},
                                         set.flows[f].rate);
        if (them > alone.ps() * 105 / 100) ++sum.queued;
    }
}

}  // namespace

TEST_CASE("a flow alone takes exactly what it takes on ns-3's devices", "[integration]") {
    const Fabric fabric = make_fabric("leaf-spine", {{"leaves", "2"}, {"hosts_per_leaf", "1"}});
    FlowSet set;
    FlowSpec f;
    f.src = GpuId{0};
    f.dst = GpuId{1};
    f.size = Bytes{256 * kUdpPayload};
    f.rate = 100_Gbps;
    set.flows.push_back(f);
    const foreign::StockRun theirs = foreign::run_udp(fabric, set, {});
    const FlowRun us = ours(fabric, set, 1);
    // 255 intervals, then the last packet over four links of 400 Gbit/s and 1 us.
    const std::int64_t expected = 255 * (kWire * 80) + 4 * (kWire * 20 + 1'000'000);
    CHECK(theirs.arrived_ps[0] == expected);
    CHECK(us.flows[0].arrived.ps() == expected);
}

TEST_CASE("random scenarios of fixed rates agree with ns-3's devices", "[integration][slow]") {
    Comparison sum;
    for (std::uint64_t seed = 1; seed <= kScenarios; ++seed) compare(seed, sum);
    std::printf("%zu flows, %zu of them queued; the worst differs by %.2f %% of what is allowed\n",
                sum.flows, sum.queued, 100 * sum.worst);
    CHECK(sum.queued >= sum.flows / 10);
    CHECK(sum.worst < 0.5);  // the headers of one side wrong by 34 B would be 0.8
}

// The event core alone: congestion control is the same code on both sides. Most times are equal to
// the picosecond; a packet and an ACK that meet at one may go in either order.
TEST_CASE("every congestion control runs the same on ns-3's event core", "[integration]") {
    RandomStream draw(1, 0, "core");
    const Fabric fabric = make_fabric("leaf-spine", {{"leaves", "4"}, {"spines", "2"}});
    FlowSet set;
    for (std::uint64_t s = 0; s < 24; ++s) {
        FlowSpec f;
        f.src = GpuId{s};
        f.dst = GpuId{24 + draw.below(8)};
        f.size = Bytes{static_cast<std::int64_t>(1 + draw.below(1 << 20))};
        f.start = SimTime{static_cast<std::int64_t>(draw.below(50'000'000))};
        set.flows.push_back(f);
    }
    const std::int64_t packet = 2 * transfer_time(Bytes{4160}, 400_Gbps).ps();
    std::size_t exact = 0, all = 0;
    for (const CongestionRegistry::Row& row : congestion_controls().rows()) {
        PacketOptions o;
        o.congestion = row.info.name;
        o.overflow = Overflow::kDrop;
        o.memory = output_queues(Bytes{std::int64_t{1} << 31});
        o.least_timeout = ms(1000);
        o.repace = false;  // the core waits out its turn
        const FlowRun us = run_flows(fabric, set, o);
        const FlowRun core = foreign::run_on_core(fabric, set, o);
        INFO(row.info.name);
        REQUIRE(us.totals.dropped == 0);
        CHECK(us.totals.data_hops == core.totals.data_hops);
        for (std::size_t f = 0; f < set.flows.size(); ++f, ++all) {
            const std::int64_t mine = (us.flows[f].acknowledged - us.flows[f].start).ps();
            const std::int64_t them = (core.flows[f].acknowledged - core.flows[f].start).ps();
            CHECK(std::abs(mine - them) <= std::max(them / 100, packet));
            if (mine == them && us.flows[f].arrived == core.flows[f].arrived) ++exact;
        }
    }
    std::printf("%zu of %zu flows to the picosecond\n", exact, all);
    CHECK(exact >= all * 9 / 10);
}
