#include "topology/placement.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

std::vector<RankId> ranks(std::size_t first, std::size_t last, std::size_t stride = 1) {
    std::vector<RankId> group;
    for (std::size_t r = first; r < last; r += stride) group.emplace_back(r);
    return group;
}

}  // namespace

TEST_CASE("packed places rank r on GPU r and refuses more ranks than GPUs", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    const Placement p = packed_placement(f, 16);
    CHECK(p.ranks() == 16);
    CHECK(p.gpu(RankId{11}) == GpuId{11});
    CHECK_THROWS_AS(packed_placement(f, 17), ConfigError);
    CHECK_THROWS_AS(packed_placement(f, 0), ConfigError);
}

TEST_CASE("segments_placement splits whole hosts evenly over segments", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=3,hosts_per_segment=4");
    const Placement p = segments_placement(f, 32, 2);
    REQUIRE(p.ranks() == 32);
    CHECK(f.node(f.gpu(p.gpu(RankId{15})).node).segment == 0);
    CHECK(f.node(f.gpu(p.gpu(RankId{16})).node).segment == 1);
    CHECK(f.gpu(p.gpu(RankId{16})).host == HostId{4});
    CHECK_THROWS_AS(segments_placement(f, 24, 2), ConfigError);   // half a host
    CHECK_THROWS_AS(segments_placement(f, 128, 2), ConfigError);  // too many
    CHECK_THROWS_AS(segments_placement(f, 15, 2), ConfigError);
    CHECK_THROWS_AS(segments_placement(f, 32, 4), ConfigError);
}

TEST_CASE("shape_of sees whole hosts, rails, parts of hosts and irregular groups", "[unit]") {
    const Fabric f = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=4");
    const Placement p = packed_placement(f, 32);
    const GroupShape whole = shape_of(f, p, ranks(0, 32));
    CHECK(whole == GroupShape{32, true, 8, 4, 2, 1, true});
    const GroupShape rail = shape_of(f, p, ranks(3, 32, 8));
    CHECK(rail == GroupShape{4, true, 1, 4, 2, 1, true});
    CHECK(shape_of(f, p, ranks(0, 8)) == GroupShape{8, true, 8, 1, 2, 1, true});
    CHECK(shape_of(f, p, ranks(0, 32, 2)) == GroupShape{16, true, 4, 4, 2, 1, true});
    CHECK_FALSE(shape_of(f, p, ranks(0, 12)).uniform);
    CHECK_FALSE(shape_of(f, p, ranks(4, 12)).uniform);  // other local GPUs on each host
    // A host that comes back later is not contiguous.
    CHECK_FALSE(shape_of(f, p, {RankId{0}, RankId{8}, RankId{0 + 1}, RankId{9}}).uniform);
    CHECK(shape_of(f, p, {RankId{5}}) == GroupShape{1, true, 1, 1, 2, 1, true});
}
