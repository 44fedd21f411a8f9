// Maximum flow against closed forms of the Clos, and against a flow counted by hand.
#include "topology/graph.hpp"

#include <catch2/catch.hpp>

#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

Bandwidth between(const std::string& text, std::size_t split) {
    const Fabric f = make_fabric_from_text(text);
    return max_flow_between(f, split, Health{f});
}

}  // namespace

TEST_CASE("two HPN segments exchange what the smaller of uplinks and ports allows", "[unit]") {
    // 16 ToRs x 60 x 400G = 384T up a segment; 128 hosts x 3.2T = 409.6T of ports.
    CHECK(between("hpn7:segments=2", 128) == Bandwidth{384'000'000'000'000});
    // Hosts in proportion to the ports: with 64 a segment the ports are the bound.
    CHECK(between("hpn7:segments=2,hosts_per_segment=64", 64) == Bandwidth{204'800'000'000'000});
}

TEST_CASE("the bisection of a pod is its uplinks and the split segment's ports", "[unit]") {
    // 15 segments: 7 whole ones each side at 384T; the eighth is split, and its ToRs carry the
    // 64 hosts' 204.8T inside the segment.
    const Fabric f = make_fabric("hpn7");
    CHECK(bisection(f, Health{f}) == Bandwidth{7 * 384'000'000'000'000 + 204'800'000'000'000});
}

TEST_CASE("single plane and dual plane have equal bisection", "[unit]") {
    CHECK(between("hpn7:segments=4,mode=single-plane", 256) ==
          between("hpn7:segments=4,mode=dual-plane", 256));
}

TEST_CASE("15:1 between Agg and core", "[unit]") {
    // Each pod: 120 Agg x 8 x 400G up = 384T, a fifteenth of its 15 x 384T below.
    const std::string pods = "hpn7:pods=2,backup_hosts=0";
    CHECK(between(pods, 1920) == Bandwidth{384'000'000'000'000});
}

TEST_CASE("DCN+ and the rail-optimised fabrics have full bisection", "[unit]") {
    const Bandwidth half_of_512 = 256 * 400_Gbps;
    CHECK(between("dcn+:pods=1", 32) == half_of_512);
    CHECK(between("dcn+:pods=2", 64) == 2 * half_of_512);
    CHECK(between("rail2:units=2", 32) == half_of_512);
    CHECK(between("rail3:units=4", 64) == 2 * half_of_512);
    // SimAI's DCN+ preset of 8 uplinks is 8:1: 4 ToRs x 8 x 400G.
    CHECK(between("dcn+:pods=1,tor_uplinks=8", 32) == 32 * 400_Gbps);
}

TEST_CASE("links that are down or slow carry that much less", "[unit]") {
    const Fabric f = make_fabric_from_text("dcn+:pods=1,tor_uplinks=8,hosts_per_segment=2");
    Health health{f};
    const Bandwidth whole = max_flow_between(f, 4, health);
    CHECK(whole == 32 * 200_Gbps * 2);  // 4 hosts x 8 NICs x 2 ports
    for (const LinkId l : f.nics()[0].ports) health.set_rate(l, 50_Gbps);
    CHECK(max_flow_between(f, 4, health) == whole - 300_Gbps);
    health.set_down(f.nics()[0].ports[1]);
    CHECK(max_flow_between(f, 4, health) == whole - 350_Gbps);
}

TEST_CASE("every family is one connected part until a host is cut off", "[property]") {
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        INFO(row.info.name);
        const Fabric f = make_fabric(row.info.name);
        CHECK(connected_parts(f, Health{f}) == 1);
    }
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    Health health{f};
    for (const Nic& nic : f.nics())
        if (nic.host == HostId{1})
            for (const LinkId l : nic.ports) health.set_down(l);
    CHECK(connected_parts(f, health) == 2);
    CHECK(bisection(f, health) == 8 * 400_Gbps);  // host 1 still hears, it cannot speak
}
