// The acceptance list: six pairs of ranks of two HPN 7.0 pods, each route hop by hop as written by
// hand. Which devices a route crosses follows from the structure (facts A1): ToR = segment * 16 +
// rail * 2 + port, Agg = pod * 120 + plane * 60 + i. Which i a hash picks was computed by
// tests/integration/routes.py, which shares no code with the router.
#include <catch2/catch.hpp>

#include "topology/fabrics/fabrics.hpp"
#include "topology/routing/router.hpp"

using namespace weft;

namespace {

using Hops = std::vector<std::string>;

constexpr std::uint16_t kSourcePort = 50000;

Hops names(const Fabric& f, const std::optional<Route>& r) {
    Hops out;
    if (!r) return out;
    for (const LinkId l : r->links) out.push_back(f.name_of(l));
    return out;
}

/// The first path through a port, as the weft library takes it.
Hops path(const Router& router, std::size_t from, std::size_t to, std::size_t port) {
    const auto routes = router.disjoint_paths(router.edge(GpuId{from}, GpuId{to}), port, 1, 1);
    if (routes.empty()) return {};
    return names(router.fabric(), routes.front());
}

/// One QP, as switches hash it.
Hops hashed(const Router& router, std::size_t from, std::size_t to) {
    return names(router.fabric(), router.ecmp(router.edge(GpuId{from}, GpuId{to}), kSourcePort));
}

}  // namespace

TEST_CASE("six pairs take the routes written by hand", "[unit]") {
    const Fabric f = make_fabric("hpn7", {{"pods", "2"}});
    Health health{f};
    Router router{f, {}, &health};

    INFO("same host");
    const Hops same_host = {"host[0].gpu[0] > host[0].nvswitch[0]",
                            "host[0].nvswitch[0] > host[0].gpu[5]"};
    CHECK(hashed(router, 0, 5) == same_host);
    CHECK(path(router, 0, 5, 0) == same_host);

    INFO("same rail");
    CHECK(path(router, 3, 11, 0) == Hops{"host[0].gpu[3] > host[0].nic[3]",
                                         "host[0].nic[3]:0 > tor[6]", "tor[6] > host[1].nic[3]",
                                         "host[1].nic[3] > host[1].gpu[3]"});
    CHECK(hashed(router, 3, 11) == Hops{"host[0].gpu[3] > host[0].nic[3]",
                                        "host[0].nic[3]:1 > tor[7]", "tor[7] > host[1].nic[3]",
                                        "host[1].nic[3] > host[1].gpu[3]"});

    INFO("cross rail");
    CHECK(path(router, 0, 13, 0) ==
          Hops{"host[0].gpu[0] > host[0].nic[0]", "host[0].nic[0]:0 > tor[0]", "tor[0] > agg[7]",
               "agg[7] > tor[10]", "tor[10] > host[1].nic[5]", "host[1].nic[5] > host[1].gpu[5]"});
    CHECK(hashed(router, 0, 13) ==
          Hops{"host[0].gpu[0] > host[0].nic[0]", "host[0].nic[0]:1 > tor[1]", "tor[1] > agg[72]",
               "agg[72] > tor[11]", "tor[11] > host[1].nic[5]", "host[1].nic[5] > host[1].gpu[5]"});

    INFO("cross segment");
    const Hops far_segment_1 = {"host[0].gpu[2] > host[0].nic[2]",
                                "host[0].nic[2]:1 > tor[5]",
                                "tor[5] > agg[75]",
                                "agg[75] > tor[53]",
                                "tor[53] > host[384].nic[2]",
                                "host[384].nic[2] > host[384].gpu[2]"};
    CHECK(path(router, 2, 3074, 0) == Hops{"host[0].gpu[2] > host[0].nic[2]",
                                           "host[0].nic[2]:0 > tor[4]", "tor[4] > agg[12]",
                                           "agg[12] > tor[52]", "tor[52] > host[384].nic[2]",
                                           "host[384].nic[2] > host[384].gpu[2]"});
    CHECK(hashed(router, 2, 3074) == far_segment_1);

    // The core hashes by ingress port: in from the i-th Agg of a plane, out to the i-th.
    INFO("cross pod");
    CHECK(path(router, 1, 15361, 0) ==
          Hops{"host[0].gpu[1] > host[0].nic[1]", "host[0].nic[1]:0 > tor[2]", "tor[2] > agg[58]",
               "agg[58] > core[0]", "core[0] > agg[178]", "agg[178] > tor[242]",
               "tor[242] > host[1920].nic[1]", "host[1920].nic[1] > host[1920].gpu[1]"});
    CHECK(hashed(router, 1, 15361) ==
          Hops{"host[0].gpu[1] > host[0].nic[1]", "host[0].nic[1]:0 > tor[2]", "tor[2] > agg[39]",
               "agg[39] > core[2]", "core[2] > agg[159]", "agg[159] > tor[242]",
               "tor[242] > host[1920].nic[1]", "host[1920].nic[1] > host[1920].gpu[1]"});

    INFO("after a lost port");
    const LinkId port = f.find_link("host[384].nic[2]:0 > tor[52]");
    health.set_down(port);
    health.set_down(reverse(port));
    router.health_changed();
    CHECK(path(router, 2, 3074, 0).empty());
    CHECK(path(router, 2, 3074, 1) == Hops{"host[0].gpu[2] > host[0].nic[2]",
                                           "host[0].nic[2]:1 > tor[5]", "tor[5] > agg[72]",
                                           "agg[72] > tor[53]", "tor[53] > host[384].nic[2]",
                                           "host[384].nic[2] > host[384].gpu[2]"});
    CHECK(hashed(router, 2, 3074) == far_segment_1);
}
