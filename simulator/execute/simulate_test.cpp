#include <algorithm>
#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

Partition cells(std::uint32_t size, std::uint32_t stride) {
    return {size, stride, {}, {}};
}

/// A 1F1B step: TP 2, EP 4 and DP over what is left, in `stages` stages.
class Step {
  public:
    Step(std::uint32_t world, std::uint32_t stages, std::uint32_t microbatches) {
        const std::uint32_t per_stage = world / stages;
        w.name = "1F1B";
        w.world = world;
        w.families = {{"TP", cells(2, 1)},
                      {"EP", cells(4, 2)},
                      {"DP", cells(per_stage / 2, 2)},
                      {"PP", cells(stages, per_stage)}};
        for (std::uint32_t r = 0; r < world; ++r) w.program_of.push_back(r / per_stage);
        for (std::uint32_t s = 0; s < stages; ++s) add_stage(s, stages, microbatches);
    }
    Workload w;

  private:
    /// Waits for the op before; nothing waits for a send (as 1F1B needs, else stages block each
    /// other).
    void add(std::variant<ComputeOp, CollectiveOp, P2pOp> what) {
        std::vector<Op>& ops = w.programs.back().ops;
        Op op;
        op.what = std::move(what);
        if (!ops.empty()) op.after = {last_};
        const auto* message = std::get_if<P2pOp>(&op.what);
        if (message == nullptr || !message->send) last_ = static_cast<std::uint32_t>(ops.size());
        ops.push_back(op);
    }
    void layer(std::int64_t compute_us) {
        add(CollectiveOp{Collective::kAllGather, 0, Bytes{1 << 22}});
        add(ComputeOp{us(compute_us)});
        add(CollectiveOp{Collective::kAllToAll, 1, Bytes{1 << 21}});
        add(CollectiveOp{Collective::kReduceScatter, 0, Bytes{1 << 22}});
    }
    void forward(std::uint32_t s, std::uint32_t stages) {
        if (s > 0) add(P2pOp{false, 3, -1, Bytes{1 << 23}});
        layer(100);
        if (s + 1 < stages) add(P2pOp{true, 3, +1, Bytes{1 << 23}});
    }
    void backward(std::uint32_t s, std::uint32_t stages) {
        if (s + 1 < stages) add(P2pOp{false, 3, +1, Bytes{1 << 23}});
        layer(200);
        if (s > 0) add(P2pOp{true, 3, -1, Bytes{1 << 23}});
    }
    std::uint32_t last_ = 0;
    void add_stage(std::uint32_t s, std::uint32_t stages, std::uint32_t microbatches) {
        last_ = 0;
        w.programs.push_back({"stage " + std::to_string(s), {"layer"}, {}});
        const std::uint32_t warm = std::min(stages - 1 - s, microbatches);
        for (std::uint32_t m = 0; m < warm; ++m) forward(s, stages);
        for (std::uint32_t m = warm; m < microbatches; ++m) {
            forward(s, stages);
            backward(s, stages);
        }
        for (std::uint32_t m = 0; m < warm; ++m) backward(s, stages);
        add(CollectiveOp{Collective::kAllReduce, 2, Bytes{1 << 26}});
    }
};

Workload single(Collective kind, Bytes size, std::uint32_t ranks) {
    Workload w;
    w.name = "one";
    w.world = ranks;
    w.has_compute = false;
    w.program_of.assign(ranks, 0);
    w.families = {{"world", cells(ranks, 1)}};
    Op op;
    op.what = CollectiveOp{kind, 0, size};
    w.programs = {{"all", {""}, {op}}};
    return w;
}

/// Two ranks whose programs are these.
Workload two_ranks(const std::vector<Op>& a, const std::vector<Op>& b) {
    Workload w;
    w.name = "two";
    w.world = 2;
    w.has_compute = false;
    w.families = {{"A", cells(2, 1)}, {"B", cells(2, 1)}};
    w.programs = {{"a", {"x"}, a}, {"b", {"x"}, b}};
    w.program_of = {0, 1};
    return w;
}

Op op_after(std::variant<ComputeOp, CollectiveOp, P2pOp> what, std::vector<std::uint32_t> after) {
    Op op;
    op.what = std::move(what);
    op.after = std::move(after);
    return op;
}

Scenario scenario(const Fabric& f, const Workload& w) {
    Scenario s;
    s.fabric = &f;
    s.workload = &w;
    s.placement = packed_placement(f, w.world);
    return s;
}

/// The same bytes of result with every rank by itself.
void check_symmetry(Scenario s) {
    s.symmetry = true;
    const std::string quotient = to_json(simulate(s));
    s.symmetry = false;
    CHECK(to_json(simulate(s)) == quotient);
}

/// What each link of a kind carries away from the GPUs, on the average.
std::int64_t mean_carried(const Result& r, const char* kind) {
    for (const LinkGroupUse& g : r.link_groups)
        if (g.kind == kind && g.up) return g.carried.count() / g.links;
    return 0;
}

TEST_CASE("with PXN a ring over hosts loads NVLink like one host's ring", "[unit]") {
    const Fabric two = make_fabric_from_text("hosts:hosts=2,template=dgx-h100");
    const Workload w = single(Collective::kAllGather, 16_MiB, 16);
    Scenario s = scenario(two, w);
    s.endpoint = EndpointModel::kIdeal;
    s.library.algorithm = "ring";
    // 15 of 16 parts pass each GPU; without relays one hop of eight is a NIC's alone.
    s.library.pxn = false;
    CHECK(mean_carried(simulate(s), "scale-up") == 15 * 7 * (1 << 17));
    s.library.pxn = true;
    const Result r = simulate(s);
    CHECK(mean_carried(r, "scale-up") == 15 * (1 << 20));
    // The rail of a channel stays its own: NICs carry no more than before.
    CHECK(mean_carried(r, "access") == 15 * (1 << 17));
    check_symmetry(s);
}

TEST_CASE("a library of NCCL's runs what its tuner picks", "[unit]") {
    const auto run = [](const char* fabric, Collective kind, Bytes size, std::uint32_t ranks,
                        const Library& library) {
        const Fabric f = make_fabric_from_text(fabric);
        const Workload w = single(kind, size, ranks);
        Scenario s = scenario(f, w);
        s.library = library;
        check_symmetry(s);
        return simulate(s).collectives.at(0).algorithm;
    };
    const char* one = "hosts:template=dgx-h200";
    const char* two = "hosts:hosts=2,template=dgx-h200";
    const Library nccl{.name = "nccl-2.30"};
    using C = Collective;
    CHECK(run(one, C::kAllReduce, 1_MiB, 8, nccl) == "ring/LL");
    CHECK(run(one, C::kAllReduce, 2_MiB, 8, nccl) == "nvls/Simple");
    CHECK(run(one, C::kAllReduce, 1_GiB, 4, nccl) == "ring/Simple");
    CHECK(run(one, C::kAllGather, 1_GiB, 8, nccl) == "ring/Simple");
    CHECK(run(one, C::kBroadcast, 8_B, 8, nccl) == "chain/LL");
    CHECK(run(one, C::kAllToAll, 1_MiB, 8, nccl) == "direct");
    CHECK(run(two, C::kAllReduce, 8_B, 16, nccl) == "tree/LL");
    CHECK(run(two, C::kAllReduce, 1_GiB, 16, nccl) == "nvls-tree/Simple");
    CHECK(run(two, C::kAllReduce, 1_GiB, 16, {.name = "nccl-2.30", .nvls = false}) ==
          "ring/Simple");
    CHECK(run(one, C::kAllReduce, 1_GiB, 8, {.name = "nccl-2.18", .algorithm = "tree"}) ==
          "tree/Simple");
    // What NCCL has not is run as asked, with the cheapest protocol.
    CHECK(run(two, C::kAllReduce, 1_GiB, 16, {.name = "nccl-2.18", .algorithm = "hierarchical"}) ==
          "hierarchical");
    CHECK(run("hosts:template=dgx-a100", C::kAllReduce, 8_MiB, 8, {.name = "nccl-2.18"}) ==
          "ring/LL128");
}

TEST_CASE("a protocol that the library forces is paid for", "[unit]") {
    const Fabric f = make_fabric_from_text("hosts:template=dgx-a100");
    const Workload w = single(Collective::kAllReduce, 4_MiB, 8);
    Scenario s = scenario(f, w);
    s.library.name = "nccl-static";
    s.library.algorithm = "ring";
    const SimDuration cheapest = simulate(s).collectives.at(0).mean_time;
    s.library.name = "nccl-2.18";  // LL128
    s.machine.at(Cost::kLaunchLl128).value += us(100).ps();
    CHECK(simulate(s).collectives.at(0).mean_time > cheapest + us(50));
}

TEST_CASE("a pipelined step has the same bytes of result without symmetry", "[property]") {
    const Fabric small = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=3");
    const Step step(32, 4, 4);  // stages straddle the segments
    Scenario s = scenario(small, step.w);
    SECTION("weft") {
        check_symmetry(s);
    }
    SECTION("ideal endpoint") {
        s.endpoint = EndpointModel::kIdeal;
        check_symmetry(s);
    }
    SECTION("nccl-static") {
        s.library.name = "nccl-static";
        check_symmetry(s);
    }
    SECTION("analytic") {
        s.network = NetworkModel::kAnalytic;
        check_symmetry(s);
    }
    SECTION("a slow link") {
        s.failures = {link_degraded(small.nics()[3].ports[0], 50_Gbps, SimTime{})};
        check_symmetry(s);
    }
    SECTION("a port lost in mid-run") {
        s.failures = {link_down(small.nics()[5].ports[1], SimTime{} + ms(2), us(300))};
        check_symmetry(s);
    }
}

TEST_CASE("64 ranks of a pipelined step have the same bytes without symmetry", "[slow]") {
    const Fabric f = make_fabric("hpn7");
    const Step step(64, 4, 8);
    check_symmetry(scenario(f, step.w));
}

TEST_CASE("9216 ranks of a pipelined step are few classes", "[slow]") {
    const Fabric f = make_fabric("hpn7");
    const Step step(9216, 12, 24);
    const Result r = simulate(scenario(f, step.w));
    CHECK(r.step_time >= r.lower_bound);
    CHECK(r.bubble > SimDuration{});
}

TEST_CASE("simulations do not disturb each other", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2");
    const Workload a = single(Collective::kAllReduce, Bytes{1 << 24}, 32);
    const Step b(32, 2, 2);
    const std::string first = to_json(simulate(scenario(f, a)));
    const std::string other = to_json(simulate(scenario(f, b.w)));
    CHECK(to_json(simulate(scenario(f, a))) == first);
    CHECK(to_json(simulate(scenario(f, b.w))) == other);
}

TEST_CASE("a collective of no bytes or one rank takes no time", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload none = single(Collective::kAllReduce, Bytes{0}, 8);
    CHECK(simulate(scenario(f, none)).step_time == SimDuration{});
    const Workload alone = single(Collective::kAllReduce, Bytes{1 << 20}, 1);
    CHECK(simulate(scenario(f, alone)).step_time == SimDuration{});
}

TEST_CASE("a ring all-reduce moves 2(n-1)/n of its bytes over every link", "[property]") {
    for (const std::uint32_t n : {2U, 3U, 7U, 8U}) {
        const Fabric f = make_fabric("scale-up");
        const Workload w = single(Collective::kAllReduce, Bytes{n * 8000}, n);
        Scenario s = scenario(f, w);
        s.library.algorithm = "ring";
        s.library.channels = 1;
        s.endpoint = EndpointModel::kIdeal;
        const Result r = simulate(s);
        CHECK(r.busiest_links.size() == std::min<std::size_t>(2 * n, 10));
        for (const LinkUse& l : r.busiest_links) CHECK(l.carried == Bytes{2 * (n - 1) * 8000});
        CHECK(r.step_time >= r.lower_bound);
    }
}

TEST_CASE("analytic is never faster than flow", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=3");
    const Step step(32, 4, 4);
    Scenario s = scenario(f, step.w);
    const SimDuration flow = simulate(s).step_time;
    s.network = NetworkModel::kAnalytic;
    CHECK(simulate(s).step_time >= flow);
}

TEST_CASE("the parts of a step add up on the slowest rank", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=3");
    const Step step(32, 4, 4);
    const Result r = simulate(scenario(f, step.w));
    SimDuration parts = r.compute + r.bubble;
    for (const FamilyTime& t : r.families) parts += t.exposed;
    CHECK(r.step_time <= parts);  // more where sends overlap with other communication
    for (const FamilyTime& t : r.families) CHECK(t.exposed + r.compute + r.bubble <= r.step_time);
}

TEST_CASE("waiting and transferring add up to the ps on every rank", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=3");
    const Step step(32, 4, 4);
    Scenario s = scenario(f, step.w);
    s.failures = {link_degraded(f.nics()[3].ports[0], 50_Gbps, SimTime{})};
    const Result r = simulate(s);
    CHECK(r.rank_splits.size() > 1);
    std::uint32_t ranks = 0;
    for (const RankSplit& p : r.rank_splits) {
        CHECK(p.waiting + p.transferring == p.in_collectives);
        CHECK(p.waiting >= SimDuration{});
        ranks += p.alike;
    }
    CHECK(ranks == 32);
    for (const FamilyTime& t : r.families) CHECK(t.waiting + t.transferring == t.total);
}

TEST_CASE("who arrives first waits for who arrives last", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const CollectiveOp together{Collective::kAllReduce, 0, Bytes{1 << 20}};
    const Workload w = two_ranks({op_after(ComputeOp{us(100)}, {}), op_after(together, {0})},
                                 {op_after(ComputeOp{us(340)}, {}), op_after(together, {0})});
    const Result r = simulate(scenario(f, w));
    REQUIRE(r.rank_splits.size() == 2);
    CHECK(r.rank_splits[0].rank == RankId{1});
    CHECK(r.rank_splits[0].waiting == SimDuration{});
    CHECK(r.rank_splits[1].rank == RankId{0});
    CHECK(r.rank_splits[1].waiting == us(240));
    CHECK(r.rank_splits[1].transferring == r.step_time - us(340));
    REQUIRE(r.collectives.size() == 1);
    CHECK(r.collectives[0].mean_waiting == us(120));
    CHECK(r.collectives[0].max_waiting == us(240));
    CHECK(r.collectives[0].mean_time == r.step_time - us(340));
}

TEST_CASE("cutting a GPU off is one clear line", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    const Workload w = single(Collective::kAllReduce, Bytes{1 << 26}, 16);
    Scenario s = scenario(f, w);
    for (const LinkId port : f.nics()[0].ports)
        s.failures.push_back(link_down(port, SimTime{} + us(100)));
    try {
        (void)simulate(s);
        FAIL("nothing was thrown");
    } catch (const ConfigError& e) {
        CHECK(e.complaint().found.find("waits for ever") != std::string::npos);
        CHECK(e.complaint().expected.find("healthy path") != std::string::npos);
    }
}

std::string why_it_waits(const Workload& w, bool symmetry) {
    const Fabric f = make_fabric("scale-up");
    Scenario s = scenario(f, w);
    s.symmetry = symmetry;
    try {
        (void)simulate(s);
    } catch (const ConfigError& e) {
        return e.complaint().found;
    }
    return "it ended";
}

TEST_CASE("a deadlock names the ranks and the ops that wait for each other", "[unit]") {
    const Bytes size{1 << 20};
    for (const bool symmetry : {true, false}) {
        const Workload both_receive = two_ranks(
            {op_after(P2pOp{false, 0, +1, size}, {}), op_after(P2pOp{true, 0, +1, size}, {0})},
            {op_after(P2pOp{false, 0, -1, size}, {}), op_after(P2pOp{true, 0, -1, size}, {0})});
        CHECK(why_it_waits(both_receive, symmetry) ==
              "rank 0 waits for ever in op 0 (x: receive of 1 MiB over A +1) of program a; "
              "rank 1 waits for ever in op 0 (x: receive of 1 MiB over A -1) of program b");
        const CollectiveOp in_a{Collective::kAllReduce, 0, size};
        const CollectiveOp in_b{Collective::kAllReduce, 1, size};
        const Workload crossed = two_ranks({op_after(in_a, {}), op_after(in_b, {0})},
                                           {op_after(in_b, {}), op_after(in_a, {0})});
        CHECK(why_it_waits(crossed, symmetry) ==
              "rank 0 waits for ever in op 0 (x: all-reduce of 1 MiB over A) of program a; "
              "rank 1 waits for ever in op 0 (x: all-reduce of 1 MiB over B) of program b");
    }
}

TEST_CASE("messages alone take launch, step, path and bytes, one after the other", "[unit]") {
    const Fabric f = make_fabric_from_text("scale-up:gpus=2,rate=50GB/s");
    const Bytes size{50'000'000};
    const Workload w =
        two_ranks({op_after(P2pOp{true, 0, +1, size}, {}), op_after(P2pOp{false, 0, +1, size}, {0}),
                   op_after(P2pOp{true, 0, +1, Bytes{0}}, {1})},
                  {op_after(P2pOp{false, 0, -1, size}, {}), op_after(P2pOp{true, 0, -1, size}, {0}),
                   op_after(P2pOp{false, 0, -1, Bytes{0}}, {1})});
    Scenario s = scenario(f, w);
    s.endpoint = EndpointModel::kIdeal;
    CHECK(simulate(s).step_time == ms(2) + 4 * f.links()[0].latency);
    s.symmetry = false;
    CHECK(simulate(s).step_time == ms(2) + 4 * f.links()[0].latency);
}

/// Bytes from the GPU of rank 0 to its scale-up switch, and back, of an all-reduce as nvls.
std::pair<Bytes, Bytes> carried_by_nvls(const std::string& fabric, Bytes size,
                                        const std::vector<std::string>& down = {}) {
    const Fabric f = make_fabric_from_text(fabric);
    const Workload w =
        single(Collective::kAllReduce, size, static_cast<std::uint32_t>(f.gpus().size()));
    Scenario s = scenario(f, w);
    s.library.algorithm = "nvls";
    for (const std::string& name : down)
        s.failures.push_back(link_down(f.find_link(name), SimTime{}));
    std::pair<Bytes, Bytes> out;
    s.symmetry = false;
    const Result r = simulate(s);
    for (const LinkUse& use : r.busiest_distinct) {
        if (use.name == "host[0].gpu[0] > host[0].nvswitch[0]") out.first = use.carried;
        if (use.name == "host[0].nvswitch[0] > host[0].gpu[0]") out.second = use.carried;
    }
    return out;
}

TEST_CASE("a switch that reduces in network carries (n+1)/n of the size each way", "[unit]") {
    const Bytes size{1 << 27};
    const auto parts = [&](std::int64_t n) { return Bytes{size.count() / 8 * n}; };
    for (const char* fabric : {"hosts:hosts=1", "hosts:hosts=2,template=hpn-h800"}) {
        const auto [up, down] = carried_by_nvls(fabric, size);
        CHECK(up == parts(9));
        CHECK(down == parts(9));
    }
    // A switch that cannot: every member sends to every other.
    const auto [up, down] = carried_by_nvls("hosts:hosts=1,template=dgx-a100", size);
    CHECK(up == parts(14));
    CHECK(down == parts(14));
    // A GPU that has lost its link: the others send to each other, and to it over the NICs.
    const auto lost =
        carried_by_nvls("hosts:hosts=1", size, {"host[0].gpu[5] > host[0].nvswitch[0]"});
    CHECK(lost.first == parts(12));
    CHECK(lost.second == parts(12));
}

TEST_CASE("point-to-point sending where nvls was asked for is told", "[unit]") {
    const auto warned = [](const char* fabric) {
        const Fabric f = make_fabric_from_text(fabric);
        const Workload w = single(Collective::kAllReduce, Bytes{1 << 20}, 8);
        Scenario s = scenario(f, w);
        s.library.algorithm = "nvls";
        const std::vector<std::string> all = simulate(s).warnings;
        return std::any_of(all.begin(), all.end(), [](const std::string& text) {
            return text.find("does not reduce in network") != std::string::npos;
        });
    };
    CHECK_FALSE(warned("hosts:hosts=1"));
    CHECK(warned("hosts:hosts=1,template=dgx-a100"));
}

TEST_CASE("a size beyond 1 PiB is refused, and 1 PiB is simulated", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = single(Collective::kAllReduce, Bytes{std::int64_t{1} << 60}, 8);
    CHECK_THROWS_AS(simulate(scenario(f, w)), ConfigError);
    const Workload most = single(Collective::kAllReduce, Bytes{std::int64_t{1} << 50}, 8);
    CHECK(simulate(scenario(f, most)).step_time > SimDuration{});
}

TEST_CASE("Weft uses every NIC that a GPU owns, NCCL the nearest", "[unit]") {
    // Two hosts, four NICs of 2 x 200 Gbps each: 200 GB/s. One block of 1 GiB goes each way.
    const Fabric f = make_fabric_from_text("hosts:hosts=2,template=one-gpu-four-nics");
    const Workload w = single(Collective::kAllGather, Bytes{std::int64_t{1} << 31}, 2);
    const auto seconds = [&](const char* library) {
        Scenario s = scenario(f, w);
        s.library.name = library;
        s.endpoint = EndpointModel::kIdeal;
        return static_cast<double>(simulate(s).step_time.ps()) * 1e-12;
    };
    const double block = static_cast<double>(std::int64_t{1} << 30);
    CHECK(seconds("weft") == Approx(block / 200e9).epsilon(0.01));
    CHECK(seconds("nccl-static") == Approx(block / 50e9).epsilon(0.01));
}

TEST_CASE("the Plan that a Scenario brings is the one that runs", "[unit]") {
    const Fabric f = make_fabric("hosts", {{"hosts", "4"}, {"template", "one-gpu-four-nics"}});
    const Workload w = single(Collective::kBroadcast, Bytes{1 << 24}, 4);
    const GroupShape shape{.n = 4, .uniform = true, .per_host = 1, .hosts = 4};
    const auto time = [&](Bytes slice) {
        const PlanTemplate plan =
            build_plan(Collective::kBroadcast, "chain", shape, {.channels = 1, .slice = slice});
        Scenario s = scenario(f, w);
        s.library.plan = &plan;
        s.endpoint = EndpointModel::kIdeal;
        const Result r = simulate(s);
        CHECK(r.collectives.at(0).algorithm == "chain");
        return r.step_time;
    };
    // Every hop hands on whole slices.
    CHECK(time(Bytes{1 << 22}) > time(Bytes{1 << 16}));
}

TEST_CASE("an unknown library is named with its neighbours", "[unit]") {
    const Fabric f = make_fabric("scale-up");
    const Workload w = single(Collective::kAllReduce, Bytes{1 << 20}, 8);
    Scenario s = scenario(f, w);
    s.library.name = "nccl-statik";
    CHECK_THROWS_AS(simulate(s), ConfigError);
}

}  // namespace
}  // namespace weft
