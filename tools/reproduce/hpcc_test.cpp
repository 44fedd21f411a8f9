#include "tools/reproduce/hpcc.hpp"

#include <catch2/catch.hpp>
#include <map>

#include "tests/support/skip.hpp"
#include "topology/io/htsim/topo.hpp"
#include "topology/io/load.hpp"
#include "topology/routing/router.hpp"

using namespace weft;
using namespace weft::tools;

namespace {

/// How many links there are of each kind, tiers, rate and latency.
std::map<std::vector<std::int64_t>, int> links_of(const Fabric& f) {
    std::map<std::vector<std::int64_t>, int> count;
    for (const Link& l : f.links())
        if (l.kind == LinkKind::kAccess || l.kind == LinkKind::kFabric)
            ++count[{f.node(l.from).tier, f.node(l.to).tier, l.capacity.bits_per_second(),
                     l.latency.ps()}];
    return count;
}

}  // namespace

TEST_CASE("the fabric of the HPCC study is that of HPCC's topology file", "[integration]") {
    WEFT_NEEDS_SHARED(path, "simai/hpcc/fat.txt");
    const Fabric theirs = load_fabric(path.string());
    const Fabric ours = htsim::read_topology(hpcc_topology(), "hpcc");
    CHECK(ours.gpus().size() == theirs.gpus().size());
    CHECK(links_of(ours) == links_of(theirs));
    // The same hosts share a ToR and a pod.
    const Router a(ours), b(theirs);
    for (const std::size_t dst : {1, 15, 16, 63, 64, 200, 319}) {
        const auto route_a = a.ecmp(a.edge(GpuId{0}, GpuId{dst}), 1);
        const auto route_b = b.ecmp(b.edge(GpuId{0}, GpuId{dst}), 1);
        REQUIRE((route_a && route_b));
        CHECK(route_a->links.size() == route_b->links.size());
    }
}

TEST_CASE("short flows wait least under HPCC, and every flow ends", "[integration]") {
    const std::vector<HpccRun> runs =
        reproduce_hpcc({.time = us(200), .seed = 1, .threads = 2}, {});
    REQUIRE(runs.size() == 8);
    for (const HpccRun& r : runs)
        for (const packet::FlowGroup& g : r.groups) CHECK(g.finished == g.flows);
    for (const std::size_t first : {0, 4})
        for (std::size_t k = first; k < first + 3; ++k)
            CHECK(runs[first + 3].short_slowdown_milli.p95 <= runs[k].short_slowdown_milli.p95);
    CHECK(to_text(runs).find("hpcc") != std::string::npos);
    CHECK(to_svg(runs).find("</svg>\n</svg>") != std::string::npos);
    CHECK(to_json(runs, {}).find("\"control\": \"timely\"") != std::string::npos);
}
