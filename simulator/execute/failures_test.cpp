// What a failure in mid-run costs a collective, against closed forms.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/result.hpp"
#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

Workload all_gather(Bytes size) {
    Workload w;
    w.world = 2;
    w.program_of.assign(2, 0);
    w.families = {{"world", {2, 1, {}, {}}}};
    Op op;
    op.what = CollectiveOp{Collective::kAllGather, 0, size};
    w.programs = {{"all", {""}, {op}}};
    return w;
}

/// Two ranks in two segments send each other half of 16 MiB over both ports of their NICs.
struct Pair {
    Fabric fabric;
    Workload workload = all_gather(16_MiB);
    Scenario scenario;

    explicit Pair(const char* mode)
        : fabric(make_fabric("hpn7",
                             {{"segments", "2"}, {"hosts_per_segment", "1"}, {"mode", mode}})) {
        scenario.fabric = &fabric;
        scenario.workload = &workload;
        const GpuId far{fabric.gpus().size() / 2};
        REQUIRE(fabric.node(fabric.gpu(far).node).segment == 1);
        scenario.placement = {.gpu_of = {GpuId{0}, far}, .description = "one GPU a segment"};
        scenario.endpoint = EndpointModel::kIdeal;
        scenario.network = NetworkModel::kPacket;
        scenario.packet.least_timeout = us(500);
    }
    [[nodiscard]] Result run(const std::vector<std::string>& lines) {
        scenario.failures.clear();
        for (const std::string& l : lines)
            scenario.failures.push_back(parse_failure(fabric, l, us(25)));
        return simulate(scenario);
    }
};

double us_of(const Result& r) {
    return static_cast<double>(r.step_time.ps()) * 1e-6;
}

/// What one port would take: 8 MiB at 200 Gbit/s with headers.
constexpr double kAlone = 8.0 * 1024 * 1024 * 8 / 200e9 * 1e6 * 4160 / 4096;  // us
constexpr double kSlack = 0.01;

}  // namespace

TEST_CASE("both ports together take half of what one takes", "[unit]") {
    for (const char* mode : {"dual-plane", "single-plane"}) {
        // Four links of half a microsecond, twice: the last arrives and is acknowledged.
        const double latency = us_of(Pair(mode).run({})) - kAlone / 2;
        CHECK(latency > 2);
        CHECK(latency < 6);
    }
}

TEST_CASE("a lost port costs its bytes on the way, the convergence, and half of the rate",
          "[unit]") {
    // Dead at 50 us: what both have not carried by then goes over one, which works on in the 25 us
    // until its neighbour's lanes join it.
    constexpr double kDead = 50;
    const double expected = kDead + (kAlone - 2 * kDead);
    struct Case {
        const char* mode;
        const char* what;
    };
    for (const Case c :
         {Case{"dual-plane", "plane 1"}, Case{"dual-plane", "plane 0"},
          Case{"dual-plane", "host[0].nic[0]:1 > tor[1]"},
          Case{"single-plane", "host[0].nic[0]:0 > tor[0]"}, Case{"single-plane", "tor[1]"}})
        for (const packet::Recovery recovery :
             {packet::Recovery::kGoBackN, packet::Recovery::kSelectiveRepeat,
              packet::Recovery::kUnordered}) {
            Pair p(c.mode);
            p.scenario.packet.recovery = recovery;
            const Result whole = p.run({});
            const Result r = p.run({fmt::format("{} @50us", c.what)});
            INFO(c.mode << ", " << c.what << ", " << name_of(recovery) << ": " << us_of(r)
                        << " us");
            const double latency = us_of(whole) - kAlone / 2;
            // What was on its way as the port died goes again.
            CHECK(us_of(r) == Approx(expected + 2 * latency).epsilon(kSlack));
            // Everything arrived, and what was sent again is what was lost and what followed it.
            CHECK(r.packets.sent - r.packets.repeated == whole.packets.sent);
            CHECK(r.packets.repeated > 0);
            CHECK(r.packets.repeated < whole.packets.sent / 20);
            CHECK(r.packets.timeouts == 0);
            CHECK(p.run({fmt::format("{} @50us", c.what)}).step_time == r.step_time);
        }
}

TEST_CASE("a plane that comes back carries again once routing knows", "[unit]") {
    for (const char* mode : {"dual-plane", "single-plane"}) {
        Pair p(mode);
        const char* what = p.fabric.port_mode() == PortMode::kDualPlane
                               ? "plane 1 @50us for 75us"
                               : "host[0].nic[0]:1 > tor[1] @50us for 75us";
        const Result r = p.run({what});
        INFO(mode << ": " << us_of(r) << " us");
        // The lane of the port that died: whole until 50 us, nothing until 75, half of the other
        // port until 150, whole again.
        const double latency = us_of(p.run({})) - kAlone / 2;
        const double expected = 150 + (kAlone / 2 - 50 - 75.0 / 2);
        // What was on its way goes again at both changes, at half the rate at the second.
        CHECK(us_of(r) == Approx(expected + 2.5 * latency).epsilon(kSlack));
    }
}

TEST_CASE("queue pairs that were made without a plane use it when it is back", "[unit]") {
    Pair p("dual-plane");
    const double latency = us_of(p.run({})) - kAlone / 2;
    const Result r = p.run({"down plane 1 for 75us convergence 0"});
    const double least = 75 + (kAlone - 75) / 2;
    INFO(us_of(r) << " us, least " << least + latency);
    CHECK(us_of(r) >= least);
    // What was posted before the plane came back stays where it is; the rest goes over both.
    CHECK(us_of(r) <= 0.9 * kAlone);
}

TEST_CASE("receivers' credits follow a connection to another port", "[unit]") {
    for (const char* what : {"plane 1", "plane 0", "plane 1 @50us for 75us"}) {
        Pair p("dual-plane");
        p.scenario.packet.recovery = packet::Recovery::kUnordered;
        p.scenario.packet.credits = true;
        const std::string line = std::string(what) + (what[7] == 0 ? " @50us" : "");
        const double with = us_of(p.run({line}));
        p.scenario.packet.credits = false;
        const double without = us_of(p.run({line}));
        INFO(what << ": " << with << " us, " << without << " without credits");
        // Credit that is lost with the port is missed until a timer tells, eight timeouts of 500 us
        // at most; before, for ever.
        CHECK(with < without + 8 * 500 + 550);
    }
}

TEST_CASE("routing that never learns leaves it to timeouts, and the run says so", "[unit]") {
    Pair p("dual-plane");
    p.scenario.packet.least_timeout = us(50);
    CHECK_THROWS_AS(p.run({"down plane 1 @50us convergence 1s"}), ConfigError);
    // Back before anybody gives up: what was lost is sent again on the same path.
    const Result r = p.run({"down plane 1 @50us for 75us convergence 1s"});
    CHECK(us_of(r) > 125 + (kAlone - 2 * 50 - 75) / 2);
    CHECK(r.packets.timeouts > 0);
}

TEST_CASE("the flow engine takes what packets take, and refuses what only packets have", "[unit]") {
    Pair p("dual-plane");
    const double packets = us_of(p.run({"plane 1 @50us"}));
    p.scenario.network = NetworkModel::kFlow;
    const double flow = us_of(p.run({"plane 1 @50us"}));
    CHECK(flow == Approx(packets).epsilon(0.1));
    for (const char* line : {"loss plane 1 share 1%", "corrupt plane 1 share 1%",
                             "delay plane 1 extra 1us", "stuck host[0].nic[0]"})
        CHECK_THROWS_WITH(p.run({line}), Catch::Matchers::Contains("--network packet"));
}

TEST_CASE("a flap has the lanes of two states, however often it comes", "[unit]") {
    for (const NetworkModel network : {NetworkModel::kFlow, NetworkModel::kPacket}) {
        Pair p("dual-plane");
        p.scenario.network = network;
        p.scenario.packet.least_timeout = us(50);
        const Result r = p.run({"flap plane 1 every 50us off 10us @50us for 5ms convergence 1us"});
        // 10 of 50 us at half the rate.
        const double expected = 50 + (kAlone - 100) / 1.8;
        INFO(name_of(network) << ": " << us_of(r) << " us");
        CHECK(us_of(r) > expected * 0.95);
        // Packets: what is on its way is sent again each time that the path changes, twice a flap.
        CHECK(us_of(r) < expected * (network == NetworkModel::kPacket ? 1.3 : 1.1));
    }
}
