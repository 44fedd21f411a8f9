// What is recorded of a run: bounded, exact, and naming those who wait for the congestion of
// others.
#include "simulator/packet/recorder.hpp"

#include <catch2/catch.hpp>
#include <numeric>

#include "base/rng.hpp"
#include "simulator/packet/completions.hpp"
#include "simulator/packet/flow_run.hpp"
#include "simulator/packet/summary.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using namespace weft::packet;

namespace {

PortSample sample(std::uint32_t most, std::uint64_t sent) {
    PortSample s;
    s.most = most;
    s.sent = sent;
    s.queued = most / 2;
    return s;
}

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

/// Flows 0 to 2 go to host 4, two of them through the up-link of leaf 0; flow 3 shares only that
/// link and goes to a port that nobody else uses (like the victim of DCQCN's figure 4).
FlowSet victim_set() {
    FlowSet set;
    set.flows = {flow(0, 4, 4_MiB), flow(1, 4, 4_MiB), flow(8, 4, 4_MiB),
                 flow(2, 9, 1_MiB, SimTime{} + us(30))};
    return set;
}

PacketOptions lossless(bool record = true) {
    PacketOptions o;
    o.congestion = "fixed-rate";
    o.buffer = 2_MiB;
    o.record = record;
    return o;
}

struct Seen {
    FlowRun run;
    PacketSummary summary;
};
Seen watch(const Fabric& fabric, const FlowSet& set, const PacketOptions& o) {
    Seen s;
    s.run = run_flows(fabric, set, o, [&](const Network& n) { s.summary = summarize(fabric, n); });
    return s;
}

template <class Get>
std::int64_t sum(const std::vector<QueueSeries>& all, Get get) {
    std::int64_t total = 0;
    for (const QueueSeries& q : all)
        for (const QueueSample& s : q.samples) total += static_cast<std::int64_t>(get(s));
    return total;
}

}  // namespace

TEST_CASE("a series joins neighbours, keeps sums and maxima, and stays within its bound",
          "[property]") {
    Series series({0, 0, 1}, 2, ns(100));
    RandomStream r(1, 0, "series");
    std::uint64_t sent = 0;
    std::uint32_t most = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto queue = static_cast<std::uint32_t>(r.below(1 << 20));
        const std::uint64_t bytes = r.below(1000);
        series.add(i % 2 == 0 ? 0 : 1, sample(queue, bytes));
        sent += bytes;
        most = std::max(most, queue);
        series.close();
        REQUIRE(series.size() < Series::kMostSamples);
    }
    CHECK(series.length() == (1 << 14) * ns(100));
    std::uint64_t joined = 0;
    std::uint32_t deepest = 0;
    for (const PortSample& s : series.groups()[0].samples) {
        joined += s.sent;
        deepest = std::max(deepest, s.most);
    }
    CHECK(joined == sent);
    CHECK(deepest == most);
    CHECK(series.groups()[0].most == most);
    CHECK(series.groups()[1].samples.empty());
    // A port was asked at every instant that is counted.
    CHECK(std::accumulate(series.instants().begin(), series.instants().end(), 0U) == 1000);
    CHECK(series.ends() - series.length() ==
          SimTime{} + static_cast<std::int64_t>(series.size()) * series.length());
}

TEST_CASE("a port twice as deep takes the place of the least deep, and only then", "[unit]") {
    constexpr std::uint32_t kPorts = Series::kMostPorts + 2;
    Series series(std::vector<std::uint16_t>(kPorts, 0), 1, ns(100));
    for (std::uint32_t p = 0; p < Series::kMostPorts; ++p) series.add(p, sample(1000 + p, 1));
    series.close();
    series.add(kPorts - 2, sample(1999, 1));
    series.add(kPorts - 1, sample(2000, 7));
    series.close();
    CHECK(series.ports().size() == Series::kMostPorts);
    CHECK(series.ports()[0].link == kPorts - 1);
    CHECK(series.ports()[0].since == 1);
    CHECK(series.ports()[0].samples[1].sent == 7);
    CHECK(series.groups()[0].worst == kPorts - 1);
    for (const Series::Port& p : series.ports()) CHECK(p.link != kPorts - 2);
}

TEST_CASE("a pause log closes gaps when it is full, and loses no paused time", "[property]") {
    PauseLog log(100);
    std::int64_t paused = 0;
    std::uint64_t pauses = 0;
    RandomStream r(2, 0, "pauses");
    std::int64_t at = 0;
    for (int i = 0; i < 20'000; ++i) {
        const auto wait = static_cast<std::int64_t>(r.below(3'000'000));
        const auto takes = static_cast<std::int64_t>(1 + r.below(1'000'000));
        log.add(static_cast<std::uint32_t>(i % 3), 7, at + wait, at + wait + takes);
        at += wait + takes;
        paused += takes;
        ++pauses;
        REQUIRE(log.spans().size() <= 100);
    }
    std::int64_t kept = 0;
    std::uint64_t counted = 0;
    for (const PauseSpan& s : log.spans()) {
        kept += s.paused;
        counted += s.pauses;
        CHECK(s.paused <= s.to - s.from);
    }
    CHECK(kept == paused);
    CHECK(counted == pauses);
    CHECK(log.left_out() == 0);
    CHECK(log.spans().front().root == 7);
}

TEST_CASE("a pause log of too many ports keeps the longest and counts the rest", "[unit]") {
    PauseLog log(10);
    for (std::uint32_t p = 0; p < 100; ++p) log.add(p, 0, p, p + 1 + (p % 10 == 0 ? 50 : 0));
    CHECK(log.spans().size() + log.left_out() == 100);
    CHECK(log.spans().front().port == 0);
}

TEST_CASE("spans of one flow are counted once", "[unit]") {
    CountedSpans c;
    CHECK(c.add(10, 20) == 10);
    CHECK(c.add(12, 18) == 0);
    CHECK(c.add(0, 5) == 5);
    CHECK(c.add(4, 30) == 15);
    CHECK(c.fresh(0, 40) == 10);
    CHECK(c.add(50, 50) == 0);
}

TEST_CASE("a percentile is at most 1/128 too large and never beyond the largest", "[property]") {
    Histogram h;
    RandomStream r(3, 0, "histogram");
    std::vector<std::int64_t> values;
    for (int i = 0; i < 3000; ++i) {
        const auto v = static_cast<std::int64_t>(r.below(std::uint64_t{1} << r.below(45)));
        values.push_back(v);
        h.add(v);
    }
    std::sort(values.begin(), values.end());
    const Percentiles p = h.percentiles();
    const auto exact = [&](std::size_t percent) {
        return values[(values.size() * percent + 99) / 100 - 1];
    };
    for (const auto& [ours, percent] : {std::pair{p.p50, 50}, {p.p95, 95}, {p.p99, 99}}) {
        const std::int64_t e = exact(static_cast<std::size_t>(percent));
        CHECK(ours >= e);
        CHECK(ours <= e + e / 128 + 1);
    }
    CHECK(p.max == values.back());
    CHECK(h.cumulative().back() == std::pair{p.max, std::uint64_t{3000}});
}

TEST_CASE("who waits behind a pause caused elsewhere is named, and nobody else", "[unit]") {
    const Fabric fabric = leaf_spine(3, 4, 1);
    const Seen seen = watch(fabric, victim_set(), lossless());
    const PacketSummary& p = seen.summary;
    REQUIRE(p.pauses > 0);
    CHECK(p.dropped == 0);
    REQUIRE(p.victims.size() == 1);
    CHECK(p.flows_held == 1);
    const PauseVictim& v = p.victims.front();
    CHECK(v.from == "host[2].nic[0]");
    CHECK(v.to == "host[9].nic[0]");
    // Three flows meet there; host 4's own port gets no more than it can send.
    CHECK(v.root == "agg[0] > tor[1]");
    CHECK(v.waited > us(10));
    CHECK(v.waited < seen.run.flows[3].acknowledged - seen.run.flows[3].start);
    // Without the incast nobody pauses and nobody waits.
    FlowSet alone = victim_set();
    alone.flows.erase(alone.flows.begin(), alone.flows.begin() + 3);
    CHECK(watch(fabric, alone, lossless()).summary.victims.empty());
}

TEST_CASE("an incast by itself has pauses and no victims", "[unit]") {
    FlowSet set;
    for (std::uint64_t s = 1; s < 9; ++s) set.flows.push_back(flow(s, 0, 1_MiB));
    const PacketSummary p = watch(leaf_spine(1, 9, 0), set, lossless()).summary;
    CHECK(p.ports_paused == 8);
    CHECK(p.victims.empty());
    for (const PausedPort& port : p.paused_ports) {
        CHECK(p.pause_roots.at(port.root).ends_with("> host[0].nic[0]"));
        SimDuration paused;
        std::uint64_t pauses = 0;
        for (const PausedPort::Span& s : port.spans) {
            paused += s.paused;
            pauses += s.pauses;
        }
        CHECK(paused == port.paused);
        CHECK(pauses == port.pauses);
    }
}

TEST_CASE("behind a NIC that pauses for ever, those who go elsewhere are victims", "[unit]") {
    const Fabric fabric = leaf_spine(2, 4, 1);
    PacketOptions o = lossless();
    Network n(fabric, o);
    const Router router(fabric);
    const auto connect = [&](std::uint64_t src, std::uint64_t dst) {
        const auto route = router.ecmp(router.edge(GpuId{src}, GpuId{dst}), 50'000);
        return n.connect(path_of(fabric, *route));
    };
    n.set_trouble(fabric.find_link("tor[1] > host[4].nic[0]"), {.stuck = true});
    n.send(connect(0, 4), 8_MiB, 0);
    n.send(connect(1, 5), 8_MiB, 1);
    n.wake_at(SimTime{} + us(500));
    while (n.run() != Network::Stop::kWoken) static_cast<void>(n.take_reports());
    const PacketSummary p = summarize(fabric, n);
    REQUIRE(p.victims.size() == 1);
    CHECK(p.victims[0].to == "host[5].nic[0]");
    CHECK(p.victims[0].root == "tor[1] > host[4].nic[0]");
    CHECK(p.victims[0].waited > us(200));
    CHECK(p.paused_ports.front().name == "tor[1] > host[4].nic[0]");
    CHECK(p.paused_ports.front().paused == us(500));
}

TEST_CASE("samples add up to the counts of the ports", "[property]") {
    for (const std::uint64_t seed : {1, 2, 3}) {
        const Fabric fabric = leaf_spine(3, 4, 2);
        RandomStream r(seed, 0, "record");
        FlowSet set;
        for (int i = 0; i < 20; ++i) {
            const std::uint64_t src = r.below(12);
            const auto size = static_cast<std::int64_t>(1 + r.below(1 << 20));
            set.flows.push_back(flow(src, (src + 1 + r.below(11)) % 12, Bytes{size},
                                     SimTime{} + ns(static_cast<std::int64_t>(r.below(200'000)))));
        }
        PacketOptions o = lossless();
        o.congestion = "dcqcn";
        std::uint64_t bytes = 0;
        std::uint64_t pauses = 0;
        SimDuration paused;
        PacketSummary p;
        const FlowRun run = run_flows(fabric, set, o, [&](const Network& n) {
            for (std::uint32_t l = 0; l < fabric.links().size(); ++l) {
                bytes += n.counts(LinkId{l}).bytes;
                pauses += n.counts(LinkId{l}).pauses;
                paused += n.counts(LinkId{l}).paused;
            }
            p = summarize(fabric, n);
        });
        using Sample = QueueSample;
        CHECK(sum(p.groups, [](const Sample& s) { return s.sent.count(); }) ==
              static_cast<std::int64_t>(bytes));
        CHECK(sum(p.groups, [](const Sample& s) { return s.marked; }) ==
              static_cast<std::int64_t>(run.totals.marked));
        CHECK(sum(p.groups, [](const Sample& s) { return s.pauses; }) ==
              static_cast<std::int64_t>(pauses));
        CHECK(sum(p.groups, [](const Sample& s) { return s.paused.ps(); }) == paused.ps());
        CHECK(p.deepest_ports.front().most_queued == p.deepest);
        CHECK(p.deepest_ports.front().worst == p.deepest_link);
        for (const QueueSeries& q : p.groups)
            for (const QueueSample& s : q.samples) CHECK(s.mean_queued <= s.most_queued);
    }
}

TEST_CASE("recording changes nothing of the run, and is the same twice", "[property]") {
    const Fabric fabric = leaf_spine(3, 4, 1);
    const Seen with = watch(fabric, victim_set(), lossless());
    const Seen without = watch(fabric, victim_set(), lossless(false));
    CHECK(with.run.end == without.run.end);
    CHECK(with.run.totals.events == without.run.totals.events);
    for (std::size_t f = 0; f < with.run.flows.size(); ++f)
        CHECK(with.run.flows[f].acknowledged == without.run.flows[f].acknowledged);
    CHECK(without.summary.groups.empty());
    CHECK(to_json(with.summary) == to_json(watch(fabric, victim_set(), lossless()).summary));
}
