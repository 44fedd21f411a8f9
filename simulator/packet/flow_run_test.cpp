#include "simulator/packet/flow_run.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/rng.hpp"
#include "simulator/packet/flow_summary.hpp"
#include "tests/support/skip.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/htsim/topo.hpp"
#include "traces/htsim/connections.hpp"

using namespace weft;
using namespace weft::packet;

namespace {

Fabric star(std::uint64_t hosts) {
    return make_fabric(
        "leaf-spine",
        {{"leaves", "1"}, {"spines", "0"}, {"hosts_per_leaf", std::to_string(hosts)}});
}

struct Ran {
    FlowSet set;
    FlowRun run;
    [[nodiscard]] SimTime start(std::size_t f) const { return run.flows[f].start; }
    [[nodiscard]] SimTime sent(std::size_t f) const { return run.flows[f].acknowledged; }
    [[nodiscard]] SimTime arrived(std::size_t f) const { return run.flows[f].arrived; }
};

/// A matrix over 16 hosts of one switch; counts are the caller's lines.
Ran run_matrix(const std::string& body, const PacketOptions& options = {}) {
    std::size_t counts[3] = {};
    std::istringstream lines(body);
    for (std::string line; std::getline(lines, line);)
        ++counts[line.rfind("trigger", 0) == 0 ? 1 : line.rfind("failure", 0) == 0 ? 2 : 0];
    std::ostringstream text;
    text << "Nodes 16\nConnections " << counts[0] << "\nTriggers " << counts[1] << "\nFailures "
         << counts[2] << "\n"
         << body;
    Ran r{htsim::read_connections(text.str(), "test.cm").set, {}};
    r.run = run_flows(star(16), r.set, options);
    return r;
}

std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("a oneshot starts all flows that wait for it, once", "[unit]") {
    const Ran r = run_matrix(
        "0->1 id 1 start 0 size 100000 send_done_trigger 1\n"
        "2->3 id 2 start 0 size 900000 send_done_trigger 1\n"
        "4->5 id 3 trigger 1 size 1000\n"
        "6->7 id 4 trigger 1 size 2000\n"
        "trigger id 1 oneshot\n");
    CHECK(r.sent(0) < r.sent(1));
    CHECK(r.start(2) == r.sent(0));
    CHECK(r.start(3) == r.sent(0));
}

TEST_CASE("a multishot starts the next flow of the file at each activation", "[unit]") {
    const Ran r = run_matrix(
        "4->5 id 3 trigger 7 size 1000\n"
        "0->1 id 1 start 0 size 900000 send_done_trigger 7\n"
        "2->3 id 2 start 0 size 100000 send_done_trigger 7\n"
        "6->7 id 4 trigger 7 size 2000\n"
        "8->9 id 5 trigger 7 size 2000\n"
        "trigger id 7 multishot\n");
    CHECK(r.sent(2) < r.sent(1));
    CHECK(r.start(0) == r.sent(2));
    CHECK(r.start(3) == r.sent(1));
    CHECK(r.start(4) == SimTime::never());
    const std::vector<FlowGroup> groups = summarize(r.set, r.run);
    REQUIRE(groups.size() == 1);
    CHECK(groups[0].never_started == 1);
    CHECK(groups[0].finished == 4);
}

TEST_CASE("a barrier starts its flows after exactly as many activations as it counts", "[unit]") {
    const Ran r = run_matrix(
        "0->1 id 1 start 0 size 100000 send_done_trigger 1\n"
        "2->3 id 2 start 0 size 900000 recv_done_trigger 1\n"
        "4->5 id 3 start 0 size 500000 send_done_trigger 1\n"
        "6->7 id 4 trigger 1 size 1000\n"
        "8->9 id 5 trigger 1 size 1000\n"
        "trigger id 1 barrier count 3\n");
    CHECK(r.start(3) == std::max({r.sent(0), r.arrived(1), r.sent(2)}));
    CHECK(r.start(4) == r.start(3));
    CHECK(r.arrived(1) > r.sent(2));
    const Ran never = run_matrix(
        "0->1 id 1 start 0 size 1000 send_done_trigger 1\n"
        "2->3 id 2 trigger 1 size 1000\n"
        "trigger id 1 barrier count 2\n");
    CHECK(never.start(1) == SimTime::never());
}

TEST_CASE("recv_done fires as the last byte arrives, send_done with its acknowledgement",
          "[unit]") {
    const Ran r = run_matrix(
        "0->1 id 1 start 0 size 50000 send_done_trigger 1 recv_done_trigger 2\n"
        "2->3 id 2 trigger 1 size 1000\n"
        "4->5 id 3 trigger 2 size 1000\n"
        "trigger id 1 oneshot\ntrigger id 2 oneshot\n");
    CHECK(r.start(2) == r.arrived(0));
    CHECK(r.start(1) == r.sent(0));
    // The ACK comes two links of 1 us and its 64 B twice later.
    CHECK(r.sent(0) - r.arrived(0) == us(2) + ps(2 * 1280));
}

TEST_CASE("triggers chain: a ring of flows takes the sum of their times", "[property]") {
    std::string body = "0->1 id 1 start 0 size 7000 send_done_trigger 1\n";
    for (int i = 1; i < 12; ++i)
        body += std::to_string(i) + "->" + std::to_string(i + 1) + " id " + std::to_string(i + 1) +
                " trigger " + std::to_string(i) + " size " + std::to_string(1000 * i) +
                " send_done_trigger " + std::to_string(i + 1) + "\n";
    for (int i = 1; i <= 12; ++i) body += "trigger id " + std::to_string(i) + " oneshot\n";
    const Ran r = run_matrix(body);
    SimDuration sum;
    for (const FlowTimes& t : r.run.flows) sum += t.alone;
    CHECK(r.run.end >= r.sent(11));
    CHECK(r.sent(11) - r.start(0) == sum);
}

TEST_CASE("messages of one connection follow each other on it", "[unit]") {
    const Ran r = run_matrix(
        "0->1 id 1 msg start 0 size 40960\n"
        "0->1 id 1 msg start 0 size 40960\n"
        "0->1 id 1 msg start 0 size 4096\n");
    CHECK(r.run.connections == 1);
    // One after the other without a gap: the packets of all on one line.
    CHECK(r.arrived(1) - r.arrived(0) == ps(10 * 83'200));
    CHECK(r.arrived(2) - r.arrived(1) == ps(83'200));
}

TEST_CASE("flows keep off a link that failed from the start", "[unit]") {
    const std::string topology =
        "Nodes 8\nTiers 3\nPodsize 4\n"
        "Tier 0\nDownlink_speed_Gbps 100\nRadix_Down 2\nRadix_Up 2\nDownlink_Latency_ns 1000\n"
        "Tier 1\nDownlink_speed_Gbps 100\nRadix_Down 2\nRadix_Up 2\nDownlink_Latency_ns 1000\n"
        "Tier 2\nDownlink_speed_Gbps 100\nRadix_Down 2\nDownlink_Latency_ns 1000\n";
    std::string matrix = "Nodes 8\nConnections 4\nFailures 1\n";
    for (int i = 0; i < 4; ++i)
        matrix += std::to_string(i) + "->" + std::to_string(i + 4) + " start 0 size 1000000\n";
    matrix += "failure switch_type AGG switch_id 0 link_id 1\n";
    const htsim::ConnectionMatrix m = htsim::read_connections(matrix, "t.cm");
    for (const Spread spread : {Spread::kPath, Spread::kEntropy, Spread::kShortest}) {
        Fabric fabric = htsim::read_topology(topology, "t.topo");
        const LinkId gone = fabric.find_link("agg[0] > core[2]");
        REQUIRE(gone.valid());
        htsim::remove_links(m, "t.cm", fabric);
        PacketOptions o;
        o.spread = spread;
        if (spread != Spread::kPath) o.recovery = Recovery::kUnordered;
        std::uint64_t used = 0;
        const FlowRun run = run_flows(fabric, m.set, o, [&](const Network& n) {
            used = n.counts(gone).packets + n.counts(reverse(gone)).packets;
        });
        CHECK(used == 0);
        for (const FlowTimes& t : run.flows) CHECK(t.acknowledged < SimTime::never());
    }
}

TEST_CASE("a resume never overtakes its pause", "[property]") {
    // Little memory, traffic both ways: pauses and resumes wait behind data on the same wires. One
    // lost resume would hold a port until a timeout, and then for ever.
    const Fabric fabric = make_fabric("leaf-spine", {{"leaves", "3"},
                                                     {"spines", "2"},
                                                     {"hosts_per_leaf", "4"},
                                                     {"trunk_rate", "100Gbps"},
                                                     {"rate", "100Gbps"}});
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        RandomStream r(seed, 0, "resume");
        FlowSet set;
        for (int i = 0; i < 200; ++i) {
            FlowSpec f;
            f.src = GpuId{r.below(12)};
            f.dst = GpuId{r.below(3) == 0 ? r.below(2) : r.below(12)};
            f.size = Bytes{static_cast<std::int64_t>(1 + r.below(100'000))};
            f.start = SimTime{static_cast<std::int64_t>(r.below(100'000'000))};
            if (f.src != f.dst) set.flows.push_back(f);
        }
        PacketOptions o;
        o.congestion = "fixed-rate";
        o.buffer = 1_KiB;  // twice the headroom, the least there is
        const FlowRun run = run_flows(fabric, set, o);
        REQUIRE(run.totals.pauses > 0);
        REQUIRE(run.totals.timeouts == 0);
        REQUIRE(run.end < SimTime{} + ms(10));
    }
}

TEST_CASE("slowdowns are cut into bins of equally many flows", "[unit]") {
    FlowSet set;
    FlowRun run;
    for (int i = 0; i < 200; ++i) {
        FlowSpec f;
        f.size = Bytes{i < 100 ? 1000 : 1000 + i};
        set.flows.push_back(f);
        FlowTimes t{.start = SimTime{5}, .arrived = {}, .acknowledged = {}, .alone = ps(100)};
        t.acknowledged = t.start + ps(100 + i);
        run.flows.push_back(t);
    }
    const std::vector<FlowGroup> groups = summarize(set, run);
    REQUIRE(groups.size() == 1);
    const FlowGroup& g = groups[0];
    CHECK(g.completion_ps.p50 == 199);
    CHECK(g.completion_ps.max == 299);
    CHECK(g.slowdown_milli.p99 == 2970);
    REQUIRE(g.bins.size() == 11);  // the half of one size is one bin
    CHECK(g.bins[0].flows == 100);
    CHECK(g.bins[0].largest == 1000_B);
    CHECK(g.bins[0].slowdown_milli.p50 == 1490);
    CHECK(g.bins[10].flows == 10);
    CHECK(g.bins[10].largest == 1199_B);
}

TEST_CASE("htsim's own connection matrices replay on its fat trees", "[integration][slow]") {
    struct Row {
        const char* matrix;
        const char* topology;
        std::size_t flows;
    };
    for (const Row& row :
         {Row{"one.cm", "leaf_spine_tiny.topo", 1},
          Row{"test_cr_1f10m10p.cm", "leaf_spine_tiny.topo", 10},
          Row{"incast_3-1_overlapped.tm", "fat_tree_1024_1os.topo", 3},
          Row{"incast_128.cm", "fat_tree_1024_1os.topo", 127},
          Row{"perm_128n_128c_2MB.cm", "fat_tree_1024_1os.topo", 128},
          Row{"gen_allreduce_128_g16.cm", "fat_tree_1024_1os.topo", 3968},
          Row{"gen_perm_432_4MB.cm", "fat_tree_1024_1os.topo", 432},
          Row{"perm_1024n_1024c_0u_2000000b.cm", "fat_tree_1024_1os.topo", 1024}}) {
        WEFT_NEEDS_SHARED(matrix, std::string("speed/") + row.matrix);
        WEFT_NEEDS_SHARED(topology, std::string("speed/") + row.topology);
        Fabric fabric = htsim::read_topology(text_of(topology), row.topology);
        const htsim::ConnectionMatrix m = htsim::read_connections(text_of(matrix), row.matrix);
        htsim::remove_links(m, row.matrix, fabric);
        PacketOptions o;
        o.ack_every = 16_KiB;
        const FlowRun run = run_flows(fabric, m.set, o);
        INFO(row.matrix);
        REQUIRE(run.flows.size() == row.flows);
        for (const FlowTimes& t : run.flows) REQUIRE(t.acknowledged < SimTime::never());
        CHECK(run.totals.dropped == 0);
    }
}
