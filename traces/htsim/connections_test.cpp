#include "traces/htsim/connections.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;
using htsim::read_connections;

namespace {

const std::string kMatrix = R"(# a matrix
Nodes 8
Connections 3
Triggers 2
Failures 1
0->3 id 1 start 1.5e+06 size 250000 send_done_trigger 4
3->5  id 2  trigger 4 size 1000 recv_done_trigger 9 prio 3   # two blanks
5->7 id 3 trigger 9 size 1
trigger id 4 oneshot
trigger id 9 barrier count 1
failure switch_type AGG switch_id 1 link_id 0
)";

std::string with(const std::string& from, const std::string& to) {
    std::string text = kMatrix;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

bool notes(const FlowSet& set, const std::string& words) {
    for (const std::string& n : set.notes)
        if (n.find(words) != std::string::npos) return true;
    return false;
}

}  // namespace

TEST_CASE("a connection matrix is its flows, triggers and failures", "[unit]") {
    const htsim::ConnectionMatrix m = read_connections(kMatrix, "f");
    CHECK(m.nodes == 8);
    REQUIRE(m.set.flows.size() == 3);
    const FlowSpec& first = m.set.flows[0];
    CHECK(first.src == GpuId{0});
    CHECK(first.dst == GpuId{3});
    CHECK(first.size == 250'000_B);
    CHECK(first.start == SimTime{1'500'000});
    CHECK(first.after == kNoTrigger);
    CHECK(first.send_done == m.set.flows[1].after);
    CHECK(m.set.flows[1].recv_done == m.set.flows[2].after);
    CHECK(m.set.triggers[m.set.flows[2].after].kind == FlowTrigger::Kind::kBarrier);
    REQUIRE(m.failures.size() == 1);
    CHECK(m.failures[0].tier == 2);
    CHECK(m.failures[0].switch_id == 1);
    CHECK(notes(m.set, "picoseconds"));
    CHECK(notes(m.set, "recv_done_trigger fires"));
    CHECK(notes(m.set, "prio"));
}

TEST_CASE("starts are microseconds where the reader is told so", "[unit]") {
    const htsim::ConnectionMatrix m = read_connections(
        "Nodes 2\nConnections 1\n0->1 start 40 size 1\n", "f", htsim::StartUnit::kMicroseconds);
    CHECK(m.set.flows[0].start == SimTime{} + us(40));
    CHECK(notes(m.set, "microseconds"));
}

TEST_CASE("messages of one id share a connection", "[unit]") {
    const std::string text =
        "Nodes 4\nConnections 3\n0->1 id 7 msg start 0 size 10\n"
        "0->1 id 7 msg 2 start 0 size 20\n2->1 id 8 start 0 size 5\n";
    const FlowSet set = read_connections(text, "f").set;
    CHECK(set.flows[0].connection == 0);
    CHECK(set.flows[1].connection == 0);
    CHECK(set.flows[2].connection == kOwnConnection);
}

TEST_CASE("flows that can never start are told", "[unit]") {
    CHECK(notes(read_connections(with("oneshot", "barrier count 2"), "f").set,
                "Of 1 flows that wait for trigger 4, at most 0 start"));
    CHECK_FALSE(notes(read_connections(kMatrix, "f").set, "at most"));
}

TEST_CASE("a matrix of which anything is wrong is refused by line and key", "[unit]") {
    const auto fails = [](const std::string& text, const std::string& words) {
        CHECK_THROWS_WITH(read_connections(text, "f.cm"), Catch::Contains(words));
    };
    fails("", "f.cm: Nodes");
    fails(with("Nodes 8", "Nodes 7"), "f.cm:8: connection: found \"7\"");
    fails(with("Connections 3", "Connections 4"), "Connections: found \"4\", expected 3");
    fails(with("Connections 3\n", ""), "Connections");
    fails(with("Triggers 2\n", ""), "Triggers: found \"0\", expected 2");
    fails(with("Failures 1", "Failures 0"), "Failures");
    fails(with("start 1.5e+06", "start -1"), "f.cm:6: start");
    fails(with("start 1.5e+06", "start 1us"), "f.cm:6: start");
    fails(with("start 1.5e+06", "start 0 trigger 4"), "both start and trigger");
    fails(with("start 1.5e+06 ", ""), "exactly one of start and trigger");
    fails(with("id 2  trigger", "trigger"), "f.cm:7: id");
    fails(with("id 2", "id 1"), "an id that no other connection has");
    fails(with("id 2", "id 0"), "f.cm:7: id");
    fails(with("size 250000", "size 0"), "endless flows");
    fails(with(" size 250000", ""), "endless flows");
    fails(with("size 250000", "size 1 size 2"), "each key once");
    fails(with("size 250000", "bytes 1"), "f.cm:6: connection: found \"bytes\"");
    fails(with("0->3", "3->3"), "two hosts that differ");
    fails(with("0->3", "0->"), "f.cm:6: connection");
    fails(with("trigger id 4 oneshot", "trigger id 5 oneshot"), "f.cm:6: trigger: found \"4\"");
    fails(with("id 9 barrier", "id 4 barrier"), "each trigger once");
    fails(with("oneshot", "twoshot"), "oneshot, multishot or barrier");
    fails(with(" count 1", ""), "f.cm:10: count");
    fails(with("count 1", "count 0"), "f.cm:10: count");
    fails(with("AGG", "SPINE"), "f.cm:11: switch_type");
    fails(with("link_id 0", "link_id"), "f.cm:11: link_id");
    fails(with("failure", "failed"), "a connection, a trigger or a failure");
    fails(with("Nodes 8", "Nodes 8 8"), "the end of the line");
}

TEST_CASE("a failed link is gone both ways, and must exist", "[unit]") {
    Fabric fabric = make_fabric("leaf-spine", {{"leaves", "2"}, {"spines", "2"}});
    htsim::ConnectionMatrix m;
    m.failures = {{.tier = 1, .switch_id = 1, .link = 1, .line = 3}};
    htsim::remove_links(m, "f.cm", fabric);
    REQUIRE(fabric.impairments().size() == 2);
    const LinkId l = fabric.impairments()[0].first;
    CHECK(fabric.name_of(l) == "tor[1] > agg[1]");
    CHECK(fabric.impairments()[1].first == reverse(l));
    CHECK(fabric.impairments()[0].second == Bandwidth{0});
    m.failures[0].link = 2;
    CHECK_THROWS_WITH(htsim::remove_links(m, "f.cm", fabric),
                      Catch::Contains("f.cm:3: link_id: found \"2\", expected one of the 2 links"));
    m.failures[0] = {.tier = 2, .switch_id = 0, .link = 0, .line = 4};
    CHECK_THROWS_WITH(htsim::remove_links(m, "f.cm", fabric), Catch::Contains("one of the 0"));
    m.failures[0] = {.tier = 2, .switch_id = 9, .link = 0, .line = 4};
    CHECK_THROWS_WITH(htsim::remove_links(m, "f.cm", fabric), Catch::Contains("switch_id"));
}
