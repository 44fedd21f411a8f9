#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "base/rng.hpp"
#include "flow_control/link/fec.hpp"
#include "simulator/packet/flow_run.hpp"
#include "simulator/packet/troubles.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using namespace weft::packet;

namespace {

Fabric leaf_spine(std::uint64_t leaves, std::uint64_t hosts, std::uint64_t spines) {
    return make_fabric("leaf-spine", {{"leaves", std::to_string(leaves)},
                                      {"spines", std::to_string(spines)},
                                      {"hosts_per_leaf", std::to_string(hosts)}});
}

FlowSpec flow(std::uint64_t src, std::uint64_t dst, Bytes size, SimTime start = {}) {
    FlowSpec f;
    f.src = GpuId{src};
    f.dst = GpuId{dst};
    f.size = size;
    f.start = start;
    return f;
}

SimTime at(SimDuration d) {
    return SimTime{} + d;
}

LinkId port_of(const Fabric& f, std::uint64_t host) {
    return f.nic(NicId{host}).ports.front();
}

std::vector<Failure> read(const Fabric& f, const std::vector<std::string>& lines,
                          SimDuration convergence = {}) {
    std::vector<Failure> all;
    for (const std::string& l : lines) all.push_back(parse_failure(f, l, convergence));
    return all;
}

bool finished(const FlowRun& run) {
    return std::all_of(run.flows.begin(), run.flows.end(),
                       [](const FlowTimes& t) { return t.acknowledged != SimTime::never(); });
}

/// All data packets that left a sender are accounted for, and every one arrived once.
void conserved(const FlowSet& set, const PacketOptions& o, const FlowRun& run) {
    const Totals& t = run.totals;
    std::int64_t packets = 0;
    for (const FlowSpec& f : set.flows) packets += (f.size.count() - 1) / o.payload.count() + 1;
    CHECK(finished(run));
    CHECK(t.delivered == static_cast<std::uint64_t>(packets));
    CHECK(t.sent == t.delivered + t.duplicates + t.refused + t.dropped_data + t.trimmed);
    CHECK(t.sent == t.delivered + t.repeated);
    CHECK(t.lost + t.spoiled <= t.dropped);
}

constexpr std::int64_t kWire = 83'200;  // ps: a full packet at 400 Gbit/s

}  // namespace

TEST_CASE("packets that switches spread leave a dead link once routing knows of it", "[unit]") {
    // Four spines; the link from a leaf to one of them dies in mid-run.
    const Fabric fabric = leaf_spine(2, 2, 4);
    FlowSet set;
    set.flows = {flow(0, 2, 16_MiB)};
    for (const Spread spread : {Spread::kEntropy, Spread::kShortest})
        for (const char* dead : {"tor[0] > agg[1]", "agg[1] > tor[1]", "agg[1]"}) {
            PacketOptions o;
            o.spread = spread;
            o.recovery = Recovery::kUnordered;
            o.least_timeout = us(100);
            const SimDuration convergence = us(50);
            const auto failures = read(fabric, {std::string(dead) + " @100us"}, convergence);
            const FlowRun run = run_flows(fabric, set, o, {}, failures);
            INFO(dead << ", " << name_of(spread));
            conserved(set, o, run);
            // What was sent into it in 50 us, a quarter of all, and nothing later: 16 MiB take
            // 341 us alone. Switches that look at queues see at once that their own port is down.
            CHECK(run.totals.dropped_data <= 50'000'000 / kWire / 4 + 30);
            CHECK(run.totals.timeouts <= 1);
            CHECK(run.flows[0].acknowledged < at(ms(1)));
        }
}

TEST_CASE("a flow on one path waits for the routing, then goes on elsewhere", "[unit]") {
    // Its way is a hash: whichever spine it takes dies.
    const Fabric fabric = leaf_spine(2, 2, 2);
    FlowSet set;
    set.flows = {flow(0, 2, 16_MiB)};
    for (const Recovery recovery : {Recovery::kGoBackN, Recovery::kUnordered}) {
        PacketOptions o;
        o.recovery = recovery;
        SimDuration slowest;
        for (const char* spine : {"agg[0]", "agg[1]"}) {
            const auto failures = read(fabric, {std::string(spine) + " @100us"}, us(500));
            const FlowRun run = run_flows(fabric, set, o, {}, failures);
            conserved(set, o, run);
            CHECK(run.totals.timeouts == 0);
            slowest = std::max(slowest, run.flows[0].acknowledged - run.flows[0].start);
        }
        // 500 us of nothing, and a window or so again.
        const FlowRun whole = run_flows(fabric, set, o);
        const SimDuration expected = whole.flows[0].acknowledged - SimTime{} + us(500);
        CHECK(slowest >= expected);
        CHECK(slowest <= expected + us(20));
    }
}

TEST_CASE("without another way a flow waits for its link, and gives up where it stays dead",
          "[unit]") {
    const Fabric fabric = leaf_spine(1, 3, 0);
    FlowSet set;
    set.flows = {flow(0, 1, 8_MiB)};
    PacketOptions o;
    o.least_timeout = us(50);
    for (const bool one_way : {false, true})
        for (const char* link : {"host[0].nic[0]:0 > tor[0]", "tor[0] > host[1].nic[0]",
                                 "host[1].nic[0]:0 > tor[0]"}) {
            INFO(link << (one_way ? " one-way" : ""));
            const std::string line = std::string(link) + (one_way ? " one-way" : "") + " @80us";
            const FlowRun back = run_flows(fabric, set, o, {}, read(fabric, {line + " for 300us"}));
            conserved(set, o, back);
            CHECK(back.flows[0].acknowledged > at(us(380)));
            CHECK(back.flows[0].acknowledged < at(us(380 + 300 + 200)));
            const FlowRun dead = run_flows(fabric, set, o, {}, read(fabric, {line}));
            CHECK(!finished(dead));
            const Totals& t = dead.totals;
            CHECK(t.sent >= t.delivered + t.duplicates + t.refused + t.dropped_data);
        }
}

TEST_CASE("links lose the share that they are told to, and all arrives in the end", "[property]") {
    const Fabric fabric = leaf_spine(2, 2, 2);
    FlowSet set;
    set.flows = {flow(0, 2, 16_MiB), flow(1, 3, 16_MiB), flow(3, 0, 4_MiB)};
    for (const char* kind : {"loss", "corrupt"})
        for (const Recovery recovery : {Recovery::kGoBackN, Recovery::kUnordered})
            for (const std::uint64_t seed : {1, 2, 3}) {
                PacketOptions o;
                o.recovery = recovery;
                o.least_timeout = us(100);
                o.seed = seed;
                const auto failures =
                    read(fabric, {std::string(kind) + " tor[0] > agg[0] share 1%",
                                  std::string(kind) + " tor[0] > agg[1] share 1%"});
                std::uint64_t crossed = 0;
                const FlowRun run = run_flows(
                    fabric, set, o,
                    [&](const Network& n) {
                        for (const Failure& f : failures)
                            for (const LinkId l : links_of(fabric, f))
                                crossed += n.counts(l).packets;
                    },
                    failures);
                INFO(kind << ", " << name_of(recovery) << ", seed " << seed);
                conserved(set, o, run);
                const std::uint64_t struck = run.totals.lost + run.totals.spoiled;
                CHECK((std::string(kind) == "loss" ? run.totals.spoiled : run.totals.lost) == 0);
                // Four standard deviations of a binomial.
                const double mean = static_cast<double>(crossed) / 100;
                CHECK(static_cast<double>(struck) > mean - 4 * std::sqrt(mean));
                CHECK(static_cast<double>(struck) < mean + 4 * std::sqrt(mean));
                CHECK(run.totals.repeated > 0);
                const FlowRun again = run_flows(fabric, set, o, {}, failures);
                CHECK(again.flows[1].acknowledged == run.flows[1].acknowledged);
            }
}

TEST_CASE("a spoiled packet costs the whole way, a lost one only as far as it came", "[unit]") {
    const Fabric fabric = leaf_spine(2, 1, 1);
    FlowSet set;
    set.flows = {flow(0, 1, 4_MiB)};
    PacketOptions o;
    o.recovery = Recovery::kUnordered;
    o.least_timeout = us(100);
    const auto hops = [&](const char* kind) {
        const FlowRun run = run_flows(
            fabric, set, o, {},
            read(fabric, {std::string(kind) + " host[0].nic[0]:0 > tor[0] share 5% one-way"}));
        conserved(set, o, run);
        const std::uint64_t failed = run.totals.lost + run.totals.spoiled;
        CHECK(failed > 20);
        return run.totals.data_hops - 4 * (run.totals.sent - failed) - failed;
    };
    CHECK(hops("loss") == 0);
    const FlowRun spoiled = run_flows(
        fabric, set, o, {}, read(fabric, {"corrupt host[0].nic[0]:0 > tor[0] share 5% one-way"}));
    CHECK(spoiled.totals.data_hops == 4 * spoiled.totals.sent);
}

TEST_CASE("a delay adds to the round trip while it lasts, and nothing overtakes", "[unit]") {
    const Fabric fabric = leaf_spine(1, 2, 0);
    FlowSet set;
    set.flows = {flow(0, 1, 4096_B), flow(0, 1, 4096_B, at(us(100))),
                 flow(0, 1, 4096_B, at(us(300)))};
    const auto failures =
        read(fabric, {"delay host[0].nic[0]:0 > tor[0] extra 7us @50us for 100us"});
    const FlowRun run = run_flows(fabric, set, {}, {}, failures);
    const auto took = [&](std::size_t f) { return run.flows[f].acknowledged - run.flows[f].start; };
    CHECK(took(1) - took(0) == us(14));
    CHECK(took(2) == took(0));
    // The delay ends in mid-flow: later packets do not arrive before earlier ones.
    FlowSet one;
    one.flows = {flow(0, 1, 4_MiB)};
    const FlowRun through = run_flows(fabric, one, {}, {}, failures);
    conserved(one, {}, through);
    CHECK(through.totals.refused == 0);
}

TEST_CASE("a link that flaps carries what its time up carries", "[unit]") {
    const Fabric fabric = leaf_spine(1, 2, 0);
    FlowSet set;
    set.flows = {flow(0, 1, 32_MiB)};
    PacketOptions o;
    o.least_timeout = us(20);
    const FlowRun run = run_flows(
        fabric, set, o, {},
        read(fabric, {"flap host[0].nic[0]:0 > tor[0] every 200us off 50us @100us for 2ms"}));
    conserved(set, o, run);
    const std::int64_t alone = 8192 * kWire;
    const std::int64_t took = run.flows[0].acknowledged.ps();
    CHECK(run.totals.repeated > 0);
    CHECK(took >= alone * 4 / 3 - us(50).ps());
    // Each outage costs a timeout, at most twice its least, and a window besides.
    CHECK(took <= alone * 4 / 3 + us(200).ps());
}

TEST_CASE("a degraded link takes its bytes at its new rate", "[unit]") {
    const Fabric fabric = leaf_spine(1, 2, 0);
    FlowSet set;
    set.flows = {flow(0, 1, 8_MiB)};
    const FlowRun run = run_flows(
        fabric, set, {}, {},
        read(fabric, {"degraded host[0].nic[0]:0 > tor[0] rate 100Gbps @80us for 160us"}));
    conserved(set, {}, run);
    // Three quarters of 160 us are missing.
    const std::int64_t expected = 2048 * kWire + us(120).ps();
    CHECK(run.flows[0].arrived.ps() > expected);
    CHECK(run.flows[0].arrived.ps() < expected + us(5).ps());
}

namespace {

/// Two senders under one leaf flood a receiver under the other; so little memory that they are
/// paused all the time.
struct Flood {
    Fabric fabric = leaf_spine(2, 2, 1);
    PacketOptions options;
    FlowSet set;
    Flood() {
        options.buffer = Bytes{600'000};
        options.least_timeout = us(200);
        for (int i = 0; i < 16; ++i) set.flows.push_back(flow(i % 2, 2, 1_MiB));
    }
    [[nodiscard]] FlowRun run(const std::vector<std::string>& lines, SimDuration convergence = {},
                              std::uint64_t* pauses = nullptr) const {
        return run_flows(
            fabric, set, options,
            [&](const Network& n) {
                for (std::size_t l = 0; pauses != nullptr && l < fabric.links().size(); ++l)
                    *pauses += n.counts(LinkId{l}).pauses;
            },
            read(fabric, lines, convergence));
    }
};

}  // namespace

TEST_CASE("a pause does not outlive the link that it was told about", "[unit]") {
    const Flood f;
    std::uint64_t pauses = 0;
    const FlowRun whole = f.run({}, {}, &pauses);
    REQUIRE(pauses > 20);
    conserved(f.set, f.options, whole);
    // Down at any time, both ways or one way: when it is back all goes on.
    for (const char* link :
         {"host[0].nic[0]:0 > tor[0]", "tor[0] > host[0].nic[0]", "tor[0] > agg[0]",
          "agg[0] > tor[0]", "tor[1] > agg[0]", "tor[1] > host[2].nic[0]"})
        for (const char* way : {"", " one-way"})
            for (const int start : {30, 31, 32, 33, 57, 91, 140}) {
                const std::string line =
                    std::string(link) + way + " @" + std::to_string(start) + "us for 40us";
                INFO(line);
                const FlowRun run = f.run({line});
                conserved(f.set, f.options, run);
                CHECK(run.end < whole.end + ms(4));
            }
}

TEST_CASE("a resume that is lost costs the quanta of its pause, not the rest", "[unit]") {
    const Flood f;
    for (const char* link : {"tor[0] > host[0].nic[0]", "agg[0] > tor[0]"})
        for (const char* share : {"20%", "60%", "100%"}) {
            const FlowRun run = f.run(
                {std::string("loss ") + link + " share " + share + " one-way @10us for 300us"});
            INFO(link << " " << share);
            conserved(f.set, f.options, run);
            CHECK(run.end < SimTime{} + ms(8));
        }
}

TEST_CASE("a pause is said again before its quanta end", "[unit]") {
    // A link that might lose a pause frame, and loses none: a storm of a millisecond stays
    // lossless.
    const Fabric fabric = leaf_spine(2, 2, 1);
    FlowSet set;
    for (int i = 0; i < 8; ++i) set.flows.push_back(flow(2, 0, 1_MiB));
    PacketOptions o;
    o.buffer = 1_MiB;
    const FlowRun run = run_flows(
        fabric, set, o, {},
        read(fabric,
             {"stuck host[0].nic[0] @20us for 1ms", "loss tor[1] > host[2].nic[0] share 0.0000001%",
              "loss agg[0] > tor[1] share 0.0000001%", "loss tor[0] > agg[0] share 0.0000001%"}));
    conserved(set, o, run);
    CHECK(run.totals.dropped == 0);
}

TEST_CASE("a link that went down and came back is not paused by what was said before", "[unit]") {
    const Fabric fabric = leaf_spine(2, 2, 1);
    const LinkId port = port_of(fabric, 0);
    int was_paused = 0;
    for (int t = 20; t < 60; ++t) {
        PacketOptions o;
        o.buffer = Bytes{600'000};
        Network network(fabric, o);
        const Router router(fabric);
        const auto send = [&](int src, int dst, Bytes size, std::uint64_t name) {
            const Route route = *router.ecmp(router.edge(GpuId{src}, GpuId{dst}), 49152);
            network.send(network.connect(path_of(fabric, route)), size, name);
        };
        const auto run_to = [&](SimDuration when) {
            bool arrived = false;
            network.wake_at(at(when));
            while (network.run() == Network::Stop::kReport)
                for (const Network::Report& r : network.take_reports())
                    arrived = arrived || r.message == 1;
            return arrived;
        };
        for (int i = 0; i < 8; ++i) send(i % 2, 2, 1_MiB, 0);
        run_to(us(t));
        const SimDuration before = network.counts(port).paused;
        for (const LinkId l : {port, reverse(port)}) network.set_rate(l, Bandwidth{});
        if (network.counts(port).paused > before) ++was_paused;
        run_to(us(t + 30));
        for (const LinkId l : {port, reverse(port)}) network.set_rate(l, 400_Gbps);
        send(0, 1, 4096_B, 1);  // beside the congestion
        CHECK(run_to(us(t + 40)));
    }
    CHECK(was_paused > 5);
}

TEST_CASE("what pauses is told again to who comes back", "[unit]") {
    // Behind a storm the leaf is full; the sender's link goes and comes. Its port has forgotten the
    // pause and sends until it hears of it, a round trip of the link, into headroom that is in use.
    constexpr std::int64_t kRoundTrip = 2'000'000 / kWire + 3;
    const Fabric fabric = leaf_spine(2, 2, 1);
    FlowSet set;
    for (int i = 0; i < 12; ++i) set.flows.push_back(flow(2, 0, 1_MiB));
    PacketOptions o;
    o.buffer = 1_MiB;
    o.least_timeout = us(50);
    for (const char* way : {"", " one-way"})
        for (const char* link : {"host[2].nic[0]:0 > tor[1]", "tor[1] > agg[0]", "agg[0] > tor[0]",
                                 "tor[0] > agg[0]"}) {
            INFO(link << way);
            std::int64_t overflowed = 0;
            const FlowRun run = run_flows(
                fabric, set, o,
                [&](const Network& n) {
                    for (const SharedBuffer& m : n.memories())
                        overflowed += m.counts(kPayload).dropped_packets;
                },
                read(fabric, {"stuck host[0].nic[0] @20us for 1ms",
                              std::string(link) + way + " @300us for 30us"}));
            conserved(set, o, run);
            CHECK(overflowed <= kRoundTrip);
        }
}

TEST_CASE("a storm walks up the tree, port by port, and the watchdog ends it", "[unit]") {
    const Fabric fabric = leaf_spine(2, 4, 1);
    const LinkId stuck = reverse(port_of(fabric, 0));
    const std::vector<LinkId> order{stuck, fabric.find_link("agg[0] > tor[0]"),
                                    fabric.find_link("tor[1] > agg[0]"), port_of(fabric, 4)};
    for (const bool watched : {false, true}) {
        PacketOptions o;
        o.buffer = 2_MiB;
        o.watchdog.on = watched;
        o.watchdog.detection = us(500);
        Network network(fabric, o);
        const auto failures = read(fabric, {"stuck host[0].nic[0]"});
        Troubles(fabric, failures).apply(network, SimTime{});
        const Router router(fabric);
        const auto send = [&](int src, int dst, std::uint64_t name) {
            const Route route = *router.ecmp(router.edge(GpuId{src}, GpuId{dst}), 49152);
            network.send(network.connect(path_of(fabric, route)), 4_MiB, name);
        };
        for (int i = 0; i < 12; ++i) send(4, 0, 0);
        std::map<std::uint32_t, SimTime> paused;
        std::map<std::uint64_t, SimTime> arrived;
        for (int t = 0; t < 3000; ++t) {
            if (t == 300) send(5, 1, 1);  // a victim: it shares two links of the storm's way
            if (t == 300) send(2, 3, 2);  // beside it all
            network.wake_at(SimTime{} + us(t));
            while (network.run() == Network::Stop::kReport)
                for (const Network::Report& r : network.take_reports())
                    if (r.what == Network::What::kArrived) arrived[r.message] = network.now();
            for (std::uint32_t l = 0; l < fabric.links().size(); ++l)
                if (network.counts(LinkId{l}).pauses > 0) paused.try_emplace(l, network.now());
        }
        for (std::size_t i = 0; i < order.size(); ++i) {
            INFO(fabric.name_of(order[i]));
            REQUIRE(paused.count(order[i].value()) == 1);
            if (i > 0) CHECK(paused[order[i - 1].value()] < paused[order[i].value()]);
        }
        // The storm takes who sends into it or shares a way with it, and nobody else.
        for (const std::uint64_t host : {1, 2, 3})
            CHECK(paused.count(reverse(port_of(fabric, host)).value()) == 0);
        for (const std::uint64_t host : {2, 3, 6, 7})
            CHECK(paused.count(port_of(fabric, host).value()) == 0);
        CHECK(arrived.count(2) == 1);
        CHECK(arrived.count(1) == (watched ? 1 : 0));
        CHECK(arrived.count(0) == 0);
        CHECK(network.totals().storms == (watched ? 1 : 0));
    }
}

TEST_CASE("an end that was stuck for a while lets all go on", "[unit]") {
    const Fabric fabric = leaf_spine(2, 2, 1);
    FlowSet set;
    set.flows = {flow(2, 0, 4_MiB), flow(3, 1, 4_MiB)};
    PacketOptions o;
    o.buffer = 1_MiB;
    const FlowRun run =
        run_flows(fabric, set, o, {}, read(fabric, {"stuck host[0].nic[0] @20us for 1ms"}));
    conserved(set, o, run);
    CHECK(run.totals.dropped == 0);
    CHECK(run.flows[0].arrived > at(us(1020)));
    CHECK(run.flows[0].arrived < at(us(1200)));
}

TEST_CASE("FEC adds its latency to every link of the way", "[unit]") {
    const Fabric fabric = leaf_spine(1, 2, 0);
    FlowSet set;
    set.flows = {flow(0, 1, 4_MiB)};
    PacketOptions o;
    o.ack_every = Bytes{};
    const FlowRun without = run_flows(fabric, set, o);
    o.fec.on = true;
    const FlowRun with = run_flows(fabric, set, o);
    // Two links there, two back, 62.6 ns each at 400 Gbit/s.
    CHECK(with.flows[0].acknowledged - without.flows[0].acknowledged == 4 * fec_latency(400_Gbps));
    CHECK(with.totals.lost == 0);
}

TEST_CASE("what FEC cannot correct is lost, or sent again by the link", "[unit]") {
    const Fabric fabric = leaf_spine(1, 2, 0);
    FlowSet set;
    set.flows = {flow(0, 1, 64_MiB)};
    PacketOptions o;
    o.fec.on = true;
    o.fec.bit_error_rate = 1.1e-3;
    o.least_timeout = us(50);
    o.recovery = Recovery::kUnordered;
    const double share = frame_loss(o.fec.bit_error_rate, 4160_B, 400_Gbps);
    std::uint64_t packets = 0;
    const FlowRun lossy = run_flows(fabric, set, o, [&](const Network& n) {
        for (const std::uint64_t host : {0, 1})
            packets += host == 0 ? n.counts(port_of(fabric, 0)).packets
                                 : n.counts(reverse(port_of(fabric, 1))).packets;
    });
    conserved(set, o, lossy);
    const double mean = static_cast<double>(packets) * share;
    REQUIRE(mean > 25);
    CHECK(static_cast<double>(lossy.totals.lost) > mean - 4 * std::sqrt(mean));
    CHECK(static_cast<double>(lossy.totals.lost) < mean * 1.2 + 4 * std::sqrt(mean));
    o.fec.retry = true;
    const FlowRun mended = run_flows(fabric, set, o);
    conserved(set, o, mended);
    CHECK(mended.totals.dropped == 0);
    CHECK(mended.totals.repeated == 0);
    // Each retry costs the wire of the busiest link a round trip of the link.
    const SimDuration retry = retry_delay({.rate = 400_Gbps, .cable = us(1), .frame = 4160_B});
    const std::int64_t extra = mended.flows[0].acknowledged.ps() - lossy.flows[0].alone.ps();
    CHECK(extra > static_cast<std::int64_t>(mean / 2 * 0.5) * retry.ps());
    CHECK(extra < static_cast<std::int64_t>(mean * 1.5) * retry.ps());
}

TEST_CASE("whatever fails, packets are accounted for and the same seed fails alike", "[property]") {
    for (std::uint64_t seed = 1; seed <= 80; ++seed) {
        RandomStream r(seed, 0, "failures");
        const std::uint64_t hosts = 2 + r.below(3);
        const Fabric fabric = leaf_spine(2, hosts, 2);
        FlowSet set;
        for (std::uint64_t i = 0; i < 2 + r.below(8); ++i) {
            const std::uint64_t src = r.below(2 * hosts);
            set.flows.push_back(flow(src, (src + 1 + r.below(2 * hosts - 1)) % (2 * hosts),
                                     Bytes{static_cast<std::int64_t>(1 + r.below(2'000'000))}));
        }
        std::vector<Failure> failures;
        for (std::uint64_t i = 0; i < 1 + r.below(4); ++i) {
            Failure x;
            x.kind = static_cast<FailureKind>(r.below(8));
            x.target.link = LinkId{r.below(fabric.links().size())};
            x.one_way = r.below(2) == 0;
            x.at = at(us(static_cast<std::int64_t>(r.below(100))));
            x.convergence = us(static_cast<std::int64_t>(r.below(100)));
            const auto lasts = us(static_cast<std::int64_t>(1 + r.below(300)));
            if (x.kind != FailureKind::kUp) x.until = x.at + lasts;
            x.rate = x.kind == FailureKind::kDegraded ? 10_Gbps : Bandwidth{};
            if (x.kind == FailureKind::kFlap) x.every = us(20), x.off = us(5);
            const bool share = x.kind == FailureKind::kLoss || x.kind == FailureKind::kCorrupt;
            if (share) x.share = static_cast<std::int64_t>(1 + r.below(300'000'000));
            if (x.kind == FailureKind::kDelay) x.extra = us(3);
            failures.push_back(x);
        }
        PacketOptions o;
        o.seed = seed;
        o.least_timeout = us(50);
        o.overflow = static_cast<Overflow>(r.below(3));
        o.spread = static_cast<Spread>(r.below(3));
        o.recovery = o.spread == Spread::kPath && r.below(2) == 0 ? Recovery::kGoBackN
                                                                  : Recovery::kUnordered;
        if (o.overflow == Overflow::kPause && r.below(2) == 0) o.buffer = Bytes{600'000};
        if (r.below(3) == 0) o.watchdog = {.on = true, .detection = us(80), .restoration = us(40)};
        if (r.below(4) == 0)
            o.fec = {.on = true, .bit_error_rate = 1.1e-3, .retry = r.below(2) == 0};
        const auto& rows = congestion_controls().rows();
        o.congestion = rows[r.below(rows.size())].info.name;
        INFO("seed " << seed << ", " << o.congestion << ", " << name_of(o.overflow) << ", "
                     << name_of(o.spread) << ", " << name_of(o.recovery));
        for (const Failure& x : failures) UNSCOPED_INFO(to_string(fabric, x));
        const FlowRun run = run_flows(
            fabric, set, o,
            [&](const Network& n) {
                for (const SharedBuffer& m : n.memories()) CHECK(m.stored() == Bytes{});
            },
            failures);
        conserved(set, o, run);
        const FlowRun again = run_flows(fabric, set, o, {}, failures);
        CHECK(again.totals.events == run.totals.events);
        for (std::size_t f = 0; f < run.flows.size(); ++f)
            CHECK(run.flows[f].acknowledged == again.flows[f].acknowledged);
    }
}
