// The canonical JSON of a Result.
#include "traces/results.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace weft;

TEST_CASE("result json is sorted, in integers, and the same for equal results", "[unit]") {
    Result r;
    r.step_time = ms(5);
    r.slowest_rank = RankId{3};
    r.families.push_back({"TP", ms(2), ms(1), us(4), us(1996)});
    r.collectives.push_back({"TP", "allreduce", "ring", 8, Bytes{64}, 3, us(1), us(1), us(2), us(5),
                             us(9), 100.0 / 3, 0.1 + 0.2});
    r.scenario = {{"seed", "1"}, {"fabric.name", "hpn7"}};
    const std::string text = to_json(r);
    CHECK(text == to_json(r));
    const auto j = nlohmann::json::parse(text);
    CHECK(j["step_time_ps"] == 5'000'000'000);
    CHECK(j["families"][0]["exposed_ps"] == 1'000'000'000);
    CHECK(j["families"][0]["transferring_ps"] == 1'996'000'000);
    CHECK(j["collectives"][0]["size_bytes"] == 64);
    CHECK(j["collectives"][0]["mean_waiting_ps"] == 5'000'000);
    CHECK(text.find("\"busbw_gbytes_per_s\": 0.3,") != std::string::npos);
    CHECK(text.find("33.333333") != std::string::npos);
    CHECK(text.find("\"assumptions\"") < text.find("\"bubble_ps\""));
    CHECK(text.find("\"fabric.name\"") < text.find("\"seed\""));
}

TEST_CASE("a band is written with its time, and alone where it is wide enough", "[unit]") {
    Band b{.low = us(900), .high = ms(2), .by = "100 seeds", .parts = {}};
    CHECK(with_bands(ms(1), {b}) == "1 ms (900 us .. 2 ms by 100 seeds)");
    b.low = ms(1);
    CHECK(with_bands(ms(1), {b, b}) == "1 ms (1 .. 2 ms by 100 seeds) (1 .. 2 ms by 100 seeds)");
    b.high = ms(1);
    CHECK(with_bands(ms(1), {b}) == "1 ms");
    Result r;
    b.parts.push_back({"nic.rate", us(3), us(4)});
    r.bands = {b};
    const auto j = nlohmann::json::parse(to_json(r));
    CHECK(j["bands"][0]["high_ps"] == 1'000'000'000);
    CHECK(j["bands"][0]["parts"][0]["above_ps"] == 4'000'000);
    CHECK(nlohmann::json::parse(to_json(Result{}))["bands"].empty());
}

TEST_CASE("result json survives names that are not UTF-8", "[unit]") {
    Result r;
    r.warnings.push_back("\xff\xfe");
    CHECK_NOTHROW(nlohmann::json::parse(to_json(r)));
}

TEST_CASE("packets are columns by quantity, without those that are all zero", "[unit]") {
    Result r;
    CHECK_FALSE(nlohmann::json::parse(to_json(r)).contains("packets"));
    r.packets.used = true;
    r.packets.pauses = 3;
    CHECK_FALSE(nlohmann::json::parse(to_json(r))["packets"].contains("over_time"));
    r.packets.sample = us(2);
    r.packets.begin = SimTime{} + us(1);
    r.packets.end = SimTime{} + us(5);
    QueueSeries q{.kind = "access", .tier = 1, .plane = 0, .up = false, .ports = 2};
    q.samples = {{Bytes{70}, Bytes{7}, Bytes{900}, 0, 0, 1, us(1)}, {}};
    r.packets.groups = {q};
    r.packets.pause_roots = {"tor[0] > host[1].nic[0]"};
    r.packets.paused_ports.push_back({.name = "agg[0] > tor[0]",
                                      .pauses = 3,
                                      .paused = us(1),
                                      .spans = {{SimTime{}, SimTime{} + us(1), 3, us(1), 0}}});
    r.packets.victims.push_back({"a", "b", us(4), "c", "d"});
    Completions c;
    c.what = "network messages";
    c.count = 1;
    c.slowdowns = {{1500, 1}};
    r.packets.completions = {c};
    r.packets.memory.all = 99;  // differs between compilers
    const auto j = nlohmann::json::parse(to_json(r))["packets"];
    const auto& group = j["over_time"]["groups"][0];
    CHECK(group["most_queued_bytes"] == nlohmann::json({70, 0}));
    CHECK(group["paused_ps"] == nlohmann::json({1'000'000, 0}));
    CHECK(group["direction"] == "down");
    CHECK_FALSE(group.contains("marked"));
    CHECK(j["paused_ports"]["longest"][0]["spans"]["to_ps"][0] == 1'000'000);
    CHECK(j["victims"]["longest"][0]["waited_ps"] == 4'000'000);
    CHECK(j["completions"][0]["slowdowns"]["at_most_milli"][0] == 1500);
    CHECK_FALSE(j.contains("memory"));
    CHECK(j == nlohmann::json::parse(to_json(r.packets)));
}

TEST_CASE("the lines about packets name the worst, and what they cost in memory", "[unit]") {
    PacketSummary p;
    CHECK(packets_text(p).empty());
    p.used = true;
    p.sent = 10;
    CHECK(packets_text(p) == "packets: 10 sent");
    p.flows_held = 2;
    p.connections = 9;
    p.held = us(6);
    p.victims.push_back({"host[1]", "host[2]", us(4), "tor[0] > agg[0]", "tor[1] > host[3]"});
    p.memory = {.all = 12'000'000, .packets = 20'000, .a_switch = 1200, .a_flow = 400};
    const std::string text = packets_text(p);
    CHECK(text.find("victims of pauses: 2 of 9 connections, 6 us together; longest host[1] > "
                    "host[2]: 4 us, held at tor[0] > agg[0] because of tor[1] > host[3]") !=
          std::string::npos);
    CHECK(text.find("12 MB: 1200 B a switch, 400 B a connection, 20 kB of packets") !=
          std::string::npos);
}
