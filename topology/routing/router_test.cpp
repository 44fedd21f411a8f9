// Routes hop by hop against lists written by hand, and what must hold for every route.
#include "topology/routing/router.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

std::vector<std::string> names(const Fabric& f, const Route& r) {
    std::vector<std::string> out;
    for (const LinkId l : r.links) out.push_back(f.name_of(l));
    return out;
}

using Hops = std::vector<std::string>;

}  // namespace

TEST_CASE("inside a host the route is the scale-up switch", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    const Router router{f};
    const Edge e = router.edge(GpuId{0}, GpuId{5});
    CHECK(e.scale_up());
    const auto route = router.ecmp(e, 1);
    REQUIRE(route);
    CHECK(names(f, *route) ==
          Hops{"host[0].gpu[0] > host[0].nvswitch[0]", "host[0].nvswitch[0] > host[0].gpu[5]"});
    CHECK(latency(f, *route) == ns(50));
    CHECK(bottleneck(f, *route) == 200_GBps);
}

TEST_CASE("same rail, same segment: one ToR, by plane", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    const Router router{f};
    const Edge e = router.edge(GpuId{3}, GpuId{11});
    for (std::size_t plane = 0; plane < 2; ++plane) {
        const auto routes = router.disjoint_paths(e, plane, 4);
        REQUIRE(routes.size() == 1);
        const std::string tor = plane == 0 ? "tor[6]" : "tor[7]";
        const std::string port = plane == 0 ? ":0" : ":1";
        CHECK(names(f, routes[0]) ==
              Hops{"host[0].gpu[3] > host[0].nic[3]", "host[0].nic[3]" + port + " > " + tor,
                   tor + " > host[1].nic[3]", "host[1].nic[3] > host[1].gpu[3]"});
        CHECK(latency(f, routes[0]) == us(1));
        CHECK(bottleneck(f, routes[0]) == 200_Gbps);
    }
}

TEST_CASE("across segments sixty disjoint paths exist in each plane and no more", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2");
    const Router router{f};
    const Edge e = router.edge(GpuId{0}, GpuId{16});
    std::set<std::uint32_t> links;
    for (std::size_t plane = 0; plane < 2; ++plane) {
        const auto routes = router.disjoint_paths(e, plane, 100);
        CHECK(routes.size() == 60);
        for (const Route& r : routes) {
            REQUIRE(r.links.size() == 6);
            for (std::size_t i = 1; i < 5; ++i) CHECK(f.link(r.links[i]).plane == int(plane));
            CHECK(links.insert(r.links[2].value()).second);
            CHECK(links.insert(r.links[3].value()).second);
        }
    }
    CHECK(router.disjoint_paths(e, 0, 2).size() == 2);
    CHECK(router.disjoint_paths(e, 0, 1, 1) != router.disjoint_paths(e, 0, 1, 2));
}

TEST_CASE("a lost port moves every flow to the other plane", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2");
    Health health{f};
    Router router{f, {}, &health};
    const Edge e = router.edge(GpuId{0}, GpuId{16});
    const LinkId port = f.nic(e.dst_nic).ports[0];
    health.set_down(port);
    health.set_down(reverse(port));
    router.health_changed();
    CHECK(router.disjoint_paths(e, 0, 4).empty());
    CHECK(router.disjoint_paths(e, 1, 4).size() == 4);
    for (std::uint16_t sport = 0; sport < 200; ++sport) {
        const auto route = router.ecmp(e, sport);
        REQUIRE(route);
        CHECK(f.link(route->links[1]).plane == 1);
    }
    health.set_down(reverse(f.nic(e.dst_nic).ports[1]));
    router.health_changed();
    CHECK_FALSE(router.ecmp(e, 7).has_value());
    CHECK(router.disjoint_paths(e, 1, 4).empty());
}

TEST_CASE("on a single plane an Agg may deliver through either ToR", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=2,mode=single-plane");
    const Router router{f};
    const Edge e = router.edge(GpuId{0}, GpuId{16});
    std::set<std::pair<std::uint32_t, std::uint32_t>> ports;
    for (std::uint16_t sport = 0; sport < 500; ++sport) {
        const auto route = router.ecmp(e, sport);
        REQUIRE(route);
        REQUIRE(route->links.size() == 6);
        ports.insert({route->links[1].value(), route->links[4].value()});
    }
    CHECK(ports.size() == 4);
}

TEST_CASE("the hash is linear, and equal seeds polarise", "[unit]") {
    const FiveTuple a{1, 2, 100, 0, 0}, b{7, 9, 4000, 0, 0}, c{6, 11, 100 ^ 4000, 0, 0};
    CHECK((crc32(a) ^ crc32(b)) == crc32(c));
    // Two tiers of eight links with one seed: the second tier uses one link in eight.
    const EcmpHash same{HashSeeds::kSame, 5};
    const EcmpHash each{HashSeeds::kPerTier, 5};
    std::set<std::uint32_t> second_same;
    std::set<std::uint32_t> second_each;
    for (std::uint16_t port = 0; port < 2000; ++port) {
        const std::uint32_t crc = crc32({1, 2, port});
        if (EcmpHash::pick(crc, same.seed_of(1, 0), 8) == 3)
            second_same.insert(EcmpHash::pick(crc, same.seed_of(2, 9), 8));
        if (EcmpHash::pick(crc, each.seed_of(1, 0), 8) == 3)
            second_each.insert(EcmpHash::pick(crc, each.seed_of(2, 9), 8));
    }
    CHECK(second_same.size() == 1);
    CHECK(second_each.size() == 8);
}

TEST_CASE("a QP bound to a port keeps it until the port no longer leads there", "[unit]") {
    for (const char* mode : {"dual-plane", "single-plane"}) {
        const Fabric f =
            make_fabric("hpn7", {{"segments", "2"}, {"hosts_per_segment", "2"}, {"mode", mode}});
        Health health{f};
        Router router{f, {}, &health};
        const Edge e = router.edge(GpuId{0}, GpuId{16});
        const Nic& nic = f.nic(e.src_nic);
        for (std::uint16_t sport = 0; sport < 50; ++sport)
            for (std::size_t port = 0; port < 2; ++port)
                CHECK(router.ecmp(e, sport, port)->links[1] == nic.ports[port]);
        health.set_down(nic.ports[1]);
        router.health_changed();
        for (std::uint16_t sport = 0; sport < 50; ++sport)
            CHECK(router.ecmp(e, sport, 1)->links[1] == nic.ports[0]);
    }
}

TEST_CASE("a core with a failed port falls back to the 5-tuple", "[unit]") {
    const Fabric f =
        make_fabric_from_text("hpn7:pods=2,segments=1,hosts_per_segment=1,backup_hosts=0");
    Health health{f};
    Router router{f, {}, &health};
    const Edge e = router.edge(GpuId{0}, GpuId{8});
    // Of all flows that come into a core by one port, how many ports out do they use?
    const auto ports_out = [&] {
        std::map<LinkId, std::set<LinkId>> out;
        for (std::uint16_t sport = 0; sport < 4000; ++sport) {
            const auto route = router.ecmp(e, sport);
            REQUIRE(route);
            REQUIRE(route->links.size() == 8);
            out[route->links[3]].insert(route->links[4]);
        }
        std::size_t most = 0;
        for (const auto& [in, links] : out) most = std::max(most, links.size());
        return most;
    };
    CHECK(ports_out() == 1);
    // One port down at every core.
    for (std::size_t i = 0; i < f.nodes().size(); ++i)
        if (f.nodes()[i].tier == 3) health.set_down(f.out(NodeId{i})[0]);
    router.health_changed();
    CHECK(ports_out() > 1);
}

TEST_CASE("losing links costs paths and never strands a pair while one is left", "[property]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=2,hosts_per_segment=1,backup_hosts=0");
    Health health{f};
    Router router{f, {}, &health};
    const Edge e = router.edge(GpuId{0}, GpuId{8});
    const NodeId tor = f.link(f.nic(e.src_nic).ports[0]).to;
    std::size_t left = 60;
    for (const LinkId l : f.out(tor)) {
        if (f.link(l).kind != LinkKind::kFabric) continue;
        CHECK(router.disjoint_paths(e, 0, 100).size() == left);
        health.set_down(l);
        router.health_changed();
        --left;
    }
    CHECK(left == 0);
    CHECK(router.disjoint_paths(e, 0, 100).empty());
    // Plane 0 is gone for this NIC; its flows take plane 1, and none crosses planes.
    for (std::uint16_t sport = 0; sport < 100; ++sport) {
        const auto route = router.ecmp(e, sport);
        REQUIRE(route);
        CHECK(f.link(route->links[1]).plane == 1);
        CHECK(f.link(route->links[4]).plane == 1);
    }
}

TEST_CASE("equal seeds leave most links between two tiers idle", "[unit]") {
    // DCN+, segment 0 to segment 1: the ToR picks one of 64 uplinks (Agg = uplink mod 8), the Agg
    // one of 16 links to the two ToRs. The same hash modulo 16 leaves each Agg two of its 16.
    const Fabric f = make_fabric("dcn+", {{"pods", "1"}});
    const auto links_used = [&](HashSeeds seeds) {
        const Router router{f, {.hash = {.seeds = seeds, .seed = 3}}};
        std::set<LinkId> used;
        for (std::size_t gpu = 0; gpu < 128; ++gpu)
            for (std::uint16_t q = 0; q < 64; ++q)
                used.insert(router.ecmp(router.edge(GpuId{gpu}, GpuId{gpu + 128}), q)->links[3]);
        return used.size();
    };
    CHECK(links_used(HashSeeds::kSame) == 16);
    // Seeds of their own free the rest, but for switches whose seeds choose overlapping bits.
    CHECK(links_used(HashSeeds::kPerSwitch) > 112);
    CHECK(links_used(HashSeeds::kPerTier) == 128);
}

TEST_CASE("a route is as short as the shortest way in the fabric", "[property]") {
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        INFO(row.info.name);
        KeyValues few;
        for (const Parameter& p : row.info.parameters)
            if (p.name.rfind("hosts_per", 0) == 0) few.emplace_back(p.name, "1");
        const Fabric f = make_fabric(row.info.name, few);
        const Router router{f};
        const GpuId from{f.gpus().size() / 3};
        // Plain breadth-first search over all devices but other GPUs, which relay nothing.
        std::vector<std::size_t> hops(f.nodes().size(), 0);
        std::vector<NodeId> queue{f.gpu(from).node};
        for (std::size_t head = 0; head < queue.size(); ++head) {
            if (head > 0 && f.node(queue[head]).kind == NodeKind::kGpu) continue;
            for (const LinkId l : f.out(queue[head])) {
                const NodeId to = f.link(l).to;
                if (to == queue.front() || hops[to.index()] != 0) continue;
                hops[to.index()] = hops[queue[head].index()] + 1;
                queue.push_back(to);
            }
        }
        for (std::size_t to = 0; to < f.gpus().size(); to += 1 + f.gpus().size() / 97) {
            const auto route = router.ecmp(router.edge(from, GpuId{to}), 77);
            REQUIRE(route);
            CHECK(route->links.size() == hops[f.gpus()[to].node.index()]);
        }
    }
}

TEST_CASE("on DCN+ a NIC that lost a port is reached through its other ToR", "[unit]") {
    const Fabric f = make_fabric("dcn+", {{"pods", "1"}});
    Health health{f};
    Router router{f, {}, &health};
    const Edge e = router.edge(GpuId{0}, GpuId{200});
    const Nic& dst = f.nic(e.dst_nic);
    health.set_down(dst.ports[0]);
    health.set_down(reverse(dst.ports[0]));
    router.health_changed();
    std::set<std::size_t> from_ports;
    for (std::uint16_t q = 0; q < 100; ++q) {
        const auto route = router.ecmp(e, q);
        REQUIRE(route);
        CHECK(route->links[route->links.size() - 2] == reverse(dst.ports[1]));
        from_ports.insert(route->links[1] == f.nic(e.src_nic).ports[0] ? 0 : 1);
    }
    CHECK(from_ports.size() == 2);
    for (std::size_t port = 0; port < 2; ++port)
        CHECK(router.disjoint_paths(e, port, 100).size() == 64);
}
