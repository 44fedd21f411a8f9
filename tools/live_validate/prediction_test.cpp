#include "tools/live_validate/prediction.hpp"

#include <catch2/catch.hpp>

#include "topology/io/yaml.hpp"

namespace weft::tools {
namespace {

constexpr Bandwidth kNic{250'000'000};

TEST_CASE("a NIC's data is its rate without Ethernet, IP and TCP", "[unit]") {
    CHECK(goodput(kNic) == Bandwidth{248'169'514});
}

TEST_CASE("the fabric of the namespaces has two NICs of two planes a host", "[unit]") {
    const Fabric f = parse_fabric(fabric_text(4, kNic), "f.yaml");
    REQUIRE(f.gpus().size() == 4);
    CHECK(f.gpu(GpuId{0}).nics.size() == 2);
    for (const Nic& nic : f.nics()) {
        REQUIRE(nic.ports.size() == 2);
        CHECK(f.link(nic.ports.front()).capacity == goodput(kNic));
    }
    CHECK(f.port_mode() == PortMode::kDualPlane);
}

TEST_CASE("simulated, a ring all-reduce takes what four NICs need for its bytes", "[unit]") {
    const Bytes size{64 << 20};
    const Fabric f = parse_fabric(fabric_text(4, kNic), "f.yaml");
    const PlanTemplate plan = live_plan(Collective::kAllReduce, size, 4);
    CHECK(plan.algorithm == "allreduce/ring");
    const double seconds = static_cast<double>(simulated_time(f, plan, size).ps()) * 1e-12;
    const double bound = 1.5 * 8 * (64 << 20) / (4.0 * 248'169'514);
    CHECK(seconds == Approx(bound).epsilon(0.01));
}

TEST_CASE("simulated, a chain's slices pass hop by hop", "[unit]") {
    const Bytes size{16 << 20};
    const Fabric f = parse_fabric(fabric_text(4, kNic), "f.yaml");
    const PlanTemplate plan = live_plan(Collective::kBroadcast, size, 4);
    const double seconds = static_cast<double>(simulated_time(f, plan, size).ps()) * 1e-12;
    const double bytes = 16 << 20;
    const double rate = 4.0 * 248'169'514 / 8;
    const auto slice = static_cast<double>(plan.channels.front().slice.count());
    CHECK(seconds == Approx((bytes + 2 * slice) / rate).epsilon(0.03));
}

}  // namespace
}  // namespace weft::tools
