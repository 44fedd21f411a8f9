#include "topology/host/host.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace weft;

namespace {

/// One host whose NICs all hang on one switch by `ports` ports.
Fabric one_host(const HostTemplate& t, int ports) {
    FabricBuilder b{"host"};
    const NodeId tor = b.add_node({.tier = 1});
    for (const NodeId nic : add_host(b, t, {.host = 0, .domain = 0}))
        for (int i = 0; i < ports; ++i)
            b.add_cable(nic, tor, LinkKind::kAccess, t.port_rate, t.port_latency);
    return b.build();
}

}  // namespace

TEST_CASE("every host template gives each GPU its share of the NICs", "[unit]") {
    for (const NamedHost& row : host_templates()) {
        INFO(row.name);
        CHECK_FALSE(row.source.empty());
        const HostTemplate& t = row.host;
        const Fabric f = one_host(t, 2);
        REQUIRE(f.gpus().size() == static_cast<std::size_t>(t.gpus));
        REQUIRE(f.nics().size() == static_cast<std::size_t>(t.nics));
        for (const Gpu& g : f.gpus()) {
            CHECK(g.nics.size() == static_cast<std::size_t>(std::max(t.nics / t.gpus, 1)));
            CHECK(f.node(g.node).rail == f.nic(g.nics.front()).rail);
        }
    }
}

TEST_CASE("the H800 host of HPN has the paper's rates", "[unit]") {
    const Fabric f = one_host(host_templates().front().host, 2);
    for (const Nic& nic : f.nics()) {
        CHECK(nic.ports.size() == 2);
        CHECK(f.link(nic.ports[0]).capacity == 200_Gbps);
        CHECK(f.link(nic.ports[0]).latency == ns(500));
    }
    for (const Link& l : f.links()) {
        if (l.kind == LinkKind::kScaleUp) CHECK(l.capacity == 200_GBps);
        if (l.kind == LinkKind::kScaleUp) CHECK(l.latency == ns(25));
        if (l.kind == LinkKind::kPcie) CHECK(l.capacity == 63_GBps);
    }
}

TEST_CASE("GPUs may share a NIC, and a GPU may own several", "[unit]") {
    const Fabric shared = one_host({.gpus = 8, .nics = 2}, 1);
    for (std::size_t g = 0; g < 8; ++g) {
        REQUIRE(shared.gpus()[g].nics.size() == 1);
        CHECK(shared.gpus()[g].nics[0].index() == g / 4);
    }
    const Fabric own = one_host({.gpus = 2, .nics = 8}, 1);
    for (std::size_t g = 0; g < 2; ++g)
        for (std::size_t i = 0; i < 4; ++i) CHECK(own.gpus()[g].nics[i].index() == g * 4 + i);
}

TEST_CASE("host templates carry the published rates of their machines", "[unit]") {
    struct Row {
        const char* name;
        std::int64_t scale_up_gbytes, nic_gbits;  // of one GPU, of all its NICs' ports
        bool in_network;
    };
    for (const Row& row : {Row{"hpn-h800", 200, 400, true}, Row{"dgx-a100", 300, 200, false},
                           Row{"dgx-h100", 450, 400, true}, Row{"dgx-h200", 450, 400, true},
                           Row{"dgx-b200", 900, 400, true}, Row{"p5", 450, 400, true},
                           Row{"p5en", 450, 400, true}, Row{"gb200-tray", 900, 400, true}}) {
        INFO(row.name);
        const auto& rows = host_templates();
        const auto named = std::find_if(rows.begin(), rows.end(),
                                        [&](const NamedHost& h) { return h.name == row.name; });
        REQUIRE(named != rows.end());
        const HostTemplate& t = named->host;
        CHECK(t.scale_up == row.scale_up_gbytes * 1_GBps);
        CHECK(t.nics / t.gpus * t.ports * t.port_rate == row.nic_gbits * 1_Gbps);
        CHECK(t.in_network == row.in_network);
        const Fabric f = one_host(t, t.ports);
        for (const Node& n : f.nodes())
            CHECK(n.in_network == (row.in_network && n.kind == NodeKind::kScaleUpSwitch));
    }
}

TEST_CASE("a fabric knows the generation of its GPUs and the CPU beside them", "[unit]") {
    for (const NamedHost& row : host_templates()) {
        INFO(row.name);
        const Fabric f = one_host(row.host, 1);
        CHECK(f.generation() == row.host.generation);
        CHECK(f.cpu() == row.host.cpu);
        CHECK((f.generation() == GpuGeneration::kAmpere) ==
              (row.name == "dgx-a100" || row.name == "p4de"));
    }
    CHECK(std::string(name_of(GpuGeneration::kBlackwell)) == "Blackwell");
}
