// HPN 7.0: every count of the paper (facts A1), on the fabric as built.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iterator>
#include <map>
#include <set>

#include "topology/describe.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

std::size_t switches(const Fabric& f, int tier, int plane = kAny) {
    std::size_t n = 0;
    for (const Node& node : f.nodes())
        n += node.kind == NodeKind::kSwitch && node.tier == tier &&
             (plane == kAny || node.plane == plane);
    return n;
}

struct Ports {
    int down_200 = 0;
    int up = 0;
    int down_400 = 0;
};

Ports ports_of(const Fabric& f, NodeId n) {
    Ports p;
    for (const LinkId l : f.out(n)) {
        const Link& link = f.link(l);
        if (link.kind == LinkKind::kAccess)
            ++p.down_200;
        else if (f.node(link.to).tier > f.node(n).tier)
            ++p.up;
        else
            ++p.down_400;
    }
    return p;
}

}  // namespace

TEST_CASE("an HPN 7.0 pod has the paper's counts", "[unit]") {
    const Fabric f = make_fabric("hpn7");
    CHECK(f.gpus().size() == 15360);
    CHECK(f.nics().size() == 15360);
    CHECK(f.hosts() == 1920);
    CHECK(f.domains() == 1920);
    CHECK(switches(f, 1) == 240);
    CHECK(switches(f, 1, 0) == 120);
    CHECK(switches(f, 2) == 120);
    CHECK(switches(f, 2, 1) == 60);
    CHECK(switches(f, 3) == 0);
    std::map<int, int> tors_in_segment;
    for (std::size_t i = 0; i < f.nodes().size(); ++i) {
        const Node& n = f.nodes()[i];
        if (n.kind != NodeKind::kSwitch) continue;
        const Ports p = ports_of(f, NodeId{i});
        if (n.tier == 1) {
            ++tors_in_segment[n.segment];
            CHECK(p.down_200 == 136);  // 128 active and 8 backup hosts
            CHECK(p.up == 60);
        } else {
            CHECK(p.down_400 == 120);
        }
    }
    CHECK(tors_in_segment.size() == 15);
    for (const auto& [segment, tors] : tors_in_segment) CHECK(tors == 16);
}

TEST_CASE("an HPN host touches sixteen ToRs and port p lies in plane p", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    std::map<std::uint32_t, int> seen;
    for (const Nic& nic : f.nics()) {
        REQUIRE(nic.ports.size() == 2);
        for (std::size_t p = 0; p < 2; ++p) {
            CHECK(f.link(nic.ports[p]).capacity == 200_Gbps);
            CHECK(f.link(nic.ports[p]).plane == static_cast<int>(p));
            if (nic.host == HostId{0}) ++seen[f.link(nic.ports[p]).to.value()];
        }
    }
    CHECK(seen.size() == 16);
    CHECK(f.port_mode() == PortMode::kDualPlane);
}

TEST_CASE("a single-plane pod has the uplinks of the dual plane over all Agg", "[unit]") {
    const Fabric f =
        make_fabric_from_text("hpn7:mode=single-plane,backup_hosts=0,hosts_per_segment=1");
    CHECK(f.port_mode() == PortMode::kDualTor);
    std::size_t aggs = 0;
    for (std::size_t i = 0; i < f.nodes().size(); ++i) {
        const Node& n = f.nodes()[i];
        if (n.kind != NodeKind::kSwitch) continue;
        const Ports p = ports_of(f, NodeId{i});
        if (n.tier == 1) CHECK(p.up == 60);
        if (n.tier != 2) continue;
        ++aggs;
        // One host a segment: the Agg's ports are those of 15 x 8 ToRs whatever the hosts.
        CHECK(p.down_400 == 120);
    }
    CHECK(aggs == 120);
}

TEST_CASE("the core layer takes every Agg uplink and no core has more than 128", "[unit]") {
    for (const int pods : {2, 3, 5}) {
        const Fabric f = make_fabric("hpn7", {{"pods", std::to_string(pods)},
                                              {"segments", "1"},
                                              {"hosts_per_segment", "1"},
                                              {"backup_hosts", "0"}});
        CHECK(switches(f, 3) == 2 * static_cast<std::size_t>((pods * 480 + 127) / 128));
        std::map<int, int> up;
        for (std::size_t i = 0; i < f.nodes().size(); ++i) {
            const Ports p = ports_of(f, NodeId{i});
            if (f.nodes()[i].kind != NodeKind::kSwitch) continue;
            if (f.nodes()[i].tier == 2) CHECK(p.up == 8);
            if (f.nodes()[i].tier == 3) CHECK(p.down_400 <= 128);
        }
    }
}

TEST_CASE("link and node names are stable and found again", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=4");
    const LinkId port = f.nics()[10].ports[1];
    CHECK(f.name_of(port) == "host[1].nic[2]:1 > tor[5]");
    CHECK(f.find_link("host[1].nic[2]:1 > tor[5]") == port);
    CHECK(f.find_link("tor[5] > host[1].nic[2]") == reverse(port));
    CHECK_FALSE(f.find_link("tor[5] > nowhere").valid());
    CHECK_FALSE(f.find_link("").valid());
}

TEST_CASE("equal parameters give equal digests and others do not", "[unit]") {
    const std::string small = "hpn7:segments=1,hosts_per_segment=2";
    CHECK(make_fabric_from_text(small).digest() == make_fabric_from_text(small).digest());
    CHECK(make_fabric_from_text(small).digest() !=
          make_fabric_from_text(small + ",link_latency=1us").digest());
}

TEST_CASE("bad parameters are rejected with key and example", "[unit]") {
    for (const char* text : {"hpn7:segments=0", "hpn7:segments=16", "hpn7:segments=two",
                             "hpn7:segments=-1", "hpn7:mode=triple", "hpn7:port_rate=400",
                             "hpn7:port_rate=0Gbps", "hpn7:segment=3", "hpn7:segments", "hpn7:=3",
                             "hpn7:segments=1,segments=2", "hpn8", "", "hpn7:link_latency=3GB"})
        CHECK_THROWS_AS(make_fabric_from_text(text), ConfigError);
    CHECK_THROWS_WITH(make_fabric_from_text("hpn7:segmnts=3"), Catch::Contains("segments"));
}

TEST_CASE("a fabric beyond any machine's memory is refused, not attempted", "[unit][slow]") {
    CHECK_THROWS_WITH(make_fabric_from_text("hpn7:pods=128"), Catch::Contains("cables"));
}

TEST_CASE("on a single plane all ToRs share Agg, those of a NIC all of them", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=1,mode=single-plane");
    std::vector<std::set<NodeId>> aggs(32);  // of a ToR, by its index
    for (std::size_t i = 0; i < f.nodes().size(); ++i) {
        const Node& n = f.nodes()[i];
        if (n.kind != NodeKind::kSwitch || n.tier != 1) continue;
        for (const LinkId l : f.out(NodeId{i}))
            if (f.link(l).kind == LinkKind::kFabric)
                aggs[static_cast<std::size_t>(n.index)].insert(f.link(l).to);
    }
    for (std::size_t a = 0; a < 32; ++a) {
        CHECK(aggs[a].size() == 60);
        for (std::size_t b = 0; b < 32; ++b) {
            std::vector<NodeId> both;
            std::set_intersection(aggs[a].begin(), aggs[a].end(), aggs[b].begin(), aggs[b].end(),
                                  std::back_inserter(both));
            const bool same_rail = a % 16 / 2 == b % 16 / 2;
            // Of seven masks three agree for two rails; 60 = 8 x 7 + 4.
            CHECK((same_rail ? both.size() == 60 : both.size() >= 24));
        }
    }
    const Fabric all = make_fabric_from_text("hpn7:segments=1,mode=single-plane-120");
    CHECK(summarize(all).tiers[0].ports_up == 120);
    CHECK(summarize(all).tiers[1].ports_down == 16);
}
