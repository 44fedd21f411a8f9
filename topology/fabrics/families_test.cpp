// What must hold for every registered family, driven by the registry: a new row is tested at once.
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <set>

#include "base/rng.hpp"
#include "topology/describe.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/placement.hpp"
#include "topology/routing/router.hpp"

using namespace weft;

namespace {

constexpr std::size_t kPairs = 60;

/// Contiguous from GPU to GPU, no node twice, and a plane is never left.
void check_route(const Fabric& f, const Edge& e, const Route& r) {
    NodeId at = f.gpu(e.src).node;
    std::set<std::uint32_t> seen{at.value()};
    bool descended = false;
    bool valid = true;
    for (const LinkId l : r.links) {
        valid = valid && f.link(l).from == at;
        const int step = f.node(f.link(l).to).tier - f.node(at).tier;
        valid = valid && !(descended && step > 0);  // no valleys
        descended = descended || step < 0;
        at = f.link(l).to;
        valid = valid && seen.insert(at.value()).second;
    }
    CHECK(valid);
    CHECK(at == f.gpu(e.dst).node);
    if (f.port_mode() == PortMode::kDualPlane && !e.scale_up())
        for (std::size_t i = 1; i + 1 < r.links.size(); ++i)
            CHECK(f.link(r.links[i]).plane == f.link(r.links[1]).plane);
}

Fabric small(const FabricRegistry::Row& row) {
    KeyValues few;
    for (const Parameter& p : row.info.parameters)
        if (p.name == "hosts_per_segment" || p.name == "hosts_per_unit")
            few.emplace_back(p.name, "4");
    return make_fabric(row.info.name, few);
}

}  // namespace

TEST_CASE("every family routes every sampled pair, and the same way twice", "[property]") {
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        INFO(row.info.name);
        const Fabric f = small(row);
        const Router router{f};
        const Router again{f};
        RandomStream random{11, 0, row.info.name};
        for (std::size_t i = 0; i < kPairs; ++i) {
            const GpuId a{static_cast<std::size_t>(random.below(f.gpus().size()))};
            const GpuId b{static_cast<std::size_t>(random.below(f.gpus().size()))};
            const Edge e = router.edge(a, b);
            const auto sport = static_cast<std::uint16_t>(random.next());
            const auto route = router.ecmp(e, sport);
            REQUIRE(route);
            check_route(f, e, *route);
            CHECK(again.ecmp(e, sport) == route);
            for (std::size_t port = 0; port < router.ports(e); ++port) {
                const auto paths = router.disjoint_paths(e, port, 3);
                REQUIRE_FALSE(paths.empty());
                std::set<std::uint32_t> used;
                for (const Route& r : paths) {
                    check_route(f, e, r);
                    for (const LinkId l : r.links)
                        if (f.link(l).kind == LinkKind::kFabric)
                            CHECK(used.insert(l.value()).second);
                }
            }
        }
    }
}

TEST_CASE("switches of one tier and family have equal degrees", "[property]") {
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        INFO(row.info.name);
        const Fabric f = make_fabric(row.info.name);
        std::set<std::pair<int, std::size_t>> degrees;
        std::set<int> tiers;
        for (std::size_t i = 0; i < f.nodes().size(); ++i) {
            if (f.nodes()[i].kind != NodeKind::kSwitch) continue;
            tiers.insert(f.nodes()[i].tier);
            degrees.insert({f.nodes()[i].tier, f.out(NodeId{i}).size()});
        }
        CHECK(degrees.size() == tiers.size());
    }
}

TEST_CASE("every family refuses unknown keys and senseless values", "[unit]") {
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        INFO(row.info.name);
        CHECK_THROWS_AS(make_fabric(row.info.name, {{"no_such_key", "1"}}), ConfigError);
        CHECK_FALSE(row.info.description.empty());
        CHECK_FALSE(row.info.source.empty());
        for (const Parameter& p : row.info.parameters) {
            INFO(p.name);
            CHECK_FALSE(p.description.empty());
            for (const char* bad : {"", "-1", "x", "1e400", "99999999999999999999", "nan"})
                CHECK_THROWS_AS(make_fabric(row.info.name, {{p.name, bad}}), ConfigError);
        }
    }
}

TEST_CASE("DCN+ is a full-bisection Clos of 16,384 GPUs", "[unit]") {
    const Fabric f = make_fabric("dcn+");
    CHECK(f.gpus().size() == 16384);
    std::size_t count[4] = {0, 0, 0, 0};
    for (std::size_t i = 0; i < f.nodes().size(); ++i) {
        const Node& n = f.nodes()[i];
        if (n.kind != NodeKind::kSwitch) continue;
        ++count[n.tier];
        CHECK(f.out(NodeId{i}).size() == (n.tier == 1 ? 192 : 128));
    }
    CHECK(count[1] == 256);
    CHECK(count[2] == 256);
    CHECK(count[3] == 128);
    const Fabric pod = make_fabric("dcn+", {{"pods", "1"}});
    CHECK(pod.gpus().size() == 512);
    const Router router{pod};
    // 8 parallel links to each of 8 Agg: 64 disjoint paths through one port.
    CHECK(router.disjoint_paths(router.edge(GpuId{0}, GpuId{300}), 0, 100).size() == 64);
    CHECK(pod.find_link("tor[0]:7 > agg[7]").valid());
    CHECK_FALSE(pod.find_link("tor[0]:8 > agg[7]").valid());
}

TEST_CASE("rail-optimised fabrics have SuperPOD's switch counts", "[unit]") {
    struct Row {
        int units;
        std::size_t gpus, leaf, spine, core;
    };
    const auto check = [](const Fabric& f, const Row& row) {
        INFO(f.name() << " " << row.units);
        std::size_t count[4] = {0, 0, 0, 0};
        for (std::size_t i = 0; i < f.nodes().size(); ++i) {
            const Node& n = f.nodes()[i];
            if (n.kind != NodeKind::kSwitch) continue;
            ++count[n.tier];
            CHECK(f.out(NodeId{i}).size() == 64);
        }
        CHECK(f.gpus().size() == row.gpus);
        CHECK(count[1] == row.leaf);
        CHECK(count[2] == row.spine);
        CHECK(count[3] == row.core);
    };
    for (const Row& row : {Row{2, 512, 16, 8, 0}, Row{4, 1024, 32, 16, 0}, Row{8, 2048, 64, 32, 0}})
        check(make_fabric("rail2", {{"units", std::to_string(row.units)}}), row);
    for (const Row& row : {Row{16, 4096, 128, 128, 64}, Row{32, 8192, 256, 256, 128}})
        check(make_fabric("rail3", {{"units", std::to_string(row.units)}}), row);
}

TEST_CASE("a scale-up domain is one switch with the rate that was asked for", "[unit]") {
    const Fabric f = make_fabric_from_text("scale-up:gpus=16,rate=50GB/s,latency=0ns");
    CHECK(f.gpus().size() == 16);
    CHECK(f.nics().empty());
    const Router router{f};
    const auto route = router.ecmp(router.edge(GpuId{0}, GpuId{15}), 0);
    REQUIRE(route);
    CHECK(route->links.size() == 2);
    CHECK(bottleneck(f, *route) == 50_GBps);
    CHECK(latency(f, *route) == ns(0));
}

TEST_CASE("hosts of every template meet in one switch a plane", "[unit]") {
    for (const NamedHost& row : host_templates()) {
        INFO(row.name);
        const HostTemplate& t = row.host;
        for (const char* count : {"1", "3"}) {
            const Fabric f = make_fabric("hosts", {{"template", row.name}, {"hosts", count}});
            const auto k = static_cast<std::size_t>(std::stoi(count));
            CHECK(f.gpus().size() == k * static_cast<std::size_t>(t.gpus));
            CHECK(f.domains() == k);
            CHECK(f.nics().front().ports.size() == static_cast<std::size_t>(t.ports));
            const FabricSummary s = summarize(f);
            CHECK(s.nic_rate == t.ports * t.port_rate);
            CHECK(s.in_network == t.in_network);
            REQUIRE(s.tiers.size() == 1);
            CHECK(s.tiers[0].switches == static_cast<std::size_t>(t.ports));
            const std::size_t all = k * static_cast<std::size_t>(t.nics);
            CHECK(s.tiers[0].ports_down == all);
        }
    }
}

TEST_CASE("switches of single rails join equal GPUs of two hosts only", "[unit]") {
    const Fabric f = make_fabric_from_text("hosts:template=p5,switches=per-rail");
    const Router router{f};
    CHECK(router.ecmp(router.edge(GpuId{1}, GpuId{9}), 0));
    CHECK_FALSE(router.ecmp(router.edge(GpuId{1}, GpuId{10}), 0));
}

TEST_CASE("trays of one scale-up domain reach each other over it", "[unit]") {
    const Fabric f =
        make_fabric_from_text("hosts:template=gb200-tray,hosts=18,hosts_per_domain=18");
    CHECK(f.gpus().size() == 72);
    CHECK(f.domains() == 1);
    const Router router{f};
    CHECK(router.edge(GpuId{0}, GpuId{71}).scale_up());
    const auto route = router.ecmp(router.edge(GpuId{0}, GpuId{71}), 0);
    REQUIRE(route);
    CHECK(bottleneck(f, *route) == 900_GBps);
    const GroupShape shape = shape_of(f, packed_placement(f, 72), [] {
        std::vector<RankId> all;
        for (std::size_t r = 0; r < 72; ++r) all.emplace_back(r);
        return all;
    }());
    CHECK(shape.uniform);
    CHECK(shape.per_host == 72);
    CHECK(shape.in_network);
}
