// What other simulators get wrong, checked against arithmetic on documented numbers: a switch
// serialises once, an incast queues at one port, an all-to-all can not beat its NICs, and two
// collectives of one rank overlap and share.
#include <catch2/catch.hpp>
#include <fmt/core.h>

#include "simulator/scenario.hpp"
#include "tests/differential/scene.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft::tests {
namespace {

constexpr Bytes kSize{64LL << 20};

Op message(bool send, std::int32_t offset, Bytes size) {
    Op op;
    op.what = P2pOp{send, 0, offset, size};
    return op;
}

/// One rank's program each; one family of all ranks.
Workload each_its_program(std::uint32_t ranks) {
    Workload w;
    w.name = "messages";
    w.world = ranks;
    w.families.push_back({"all", Partition{ranks, 1, {}, {}}});
    w.programs.resize(ranks);
    for (std::uint32_t r = 0; r < ranks; ++r) {
        w.programs[r].name = "rank " + std::to_string(r);
        w.programs[r].labels = {"message"};
        w.program_of.push_back(r);
    }
    return w;
}

double milliseconds(const Fabric& fabric, const Workload& workload,
                    const std::string& algorithm = "", std::uint32_t ranks = 0) {
    validate(workload);
    Scenario s;
    s.fabric = &fabric;
    s.workload = &workload;
    s.placement = packed_placement(fabric, ranks == 0 ? workload.world : ranks);
    s.endpoint = EndpointModel::kIdeal;
    s.library.algorithm = algorithm;
    return static_cast<double>(simulate(s).step_time.ps()) * 1e-9;
}

TEST_CASE("64 MiB through one 50 GB/s switch is serialised once", "[differential]") {
    const Fabric fabric = make_fabric_from_text("scale-up:gpus=2,rate=50GB/s");
    Workload w = each_its_program(2);
    w.programs[0].ops.push_back(message(true, +1, kSize));
    w.programs[1].ops.push_back(message(false, -1, kSize));
    const double ms = milliseconds(fabric, w);
    fmt::print("64 MiB through one 50 GB/s switch: {:.4f} ms\n", ms);
    CHECK(ms >= 1.3421);
    CHECK(ms <= 1.3424);  // and two links of 25 ns
}

TEST_CASE("seven to one takes the time of one port", "[differential]") {
    const Fabric fabric = make_fabric_from_text("scale-up:gpus=8,rate=50GB/s");
    Workload w = each_its_program(8);
    for (std::int32_t r = 0; r < 7; ++r) {
        w.programs[static_cast<std::size_t>(r)].ops.push_back(message(true, 7 - r, kSize));
        w.programs[7].ops.push_back(message(false, r - 7, kSize));
    }
    const double ms = milliseconds(fabric, w);
    fmt::print("7-to-1 incast of 64 MiB at 50 GB/s: {:.4f} ms\n", ms);
    CHECK(ms >= 9.39);
    CHECK(ms <= 9.40);
}

TEST_CASE("an all-to-all never beats its NICs", "[differential]") {
    for (const std::uint32_t gpus : {64U, 256U, 1024U})
        for (const char* algorithm : {"direct", "rail"})
            for (const char* library : {"weft", "nccl-static"}) {
                Scene scene;
                scene.fabric = "hpn7:segments=1";
                scene.ranks = gpus;
                scene.algorithm = algorithm;
                scene.library = library;
                if (scene.library == "nccl-static" && gpus > 64) continue;  // minutes
                scene.jobs = {{Collective::kAllToAll, kSize}};
                const double ms = Theatre{scene}.engine()[0] * 1e3;
                const double outside = static_cast<double>(gpus - 8) / gpus;
                const double bound = outside * static_cast<double>(kSize.count()) / 50e9 * 1e3;
                fmt::print("all-to-all 64 MiB, {} GPUs, {}, {}: {:.4f} ms, NIC bound {:.4f} ms\n",
                           gpus, algorithm, library, ms, bound);
                CHECK(ms >= bound);
                if (scene.library == "weft") CHECK(ms <= 1.1 * bound + 0.1);
            }
}

/// Two all-reduces of all 16 ranks, which nothing orders: each family has its own queue.
Workload two_at_once(bool first, bool second) {
    Workload w;
    w.name = "two at once";
    w.world = 16;
    w.families.push_back({"A", Partition{16, 1, {}, {}}});
    w.families.push_back({"B", Partition{16, 1, {}, {}}});
    w.program_of.assign(16, 0);
    Program p;
    p.name = "both";
    p.labels = {"collective"};
    for (const std::uint32_t family : {0U, 1U}) {
        if (!(family == 0 ? first : second)) continue;
        Op op;
        op.what =
            CollectiveOp{Collective::kAllReduce, family, Bytes{(family == 0 ? 1LL : 2LL) << 28}};
        p.ops.push_back(op);
    }
    w.programs.push_back(p);
    return w;
}

TEST_CASE("two collectives of one rank overlap and share", "[differential]") {
    const Fabric fabric = make_fabric_from_text("hpn7:segments=1,hosts_per_segment=2");
    const double a = milliseconds(fabric, two_at_once(true, false), "ring");
    const double b = milliseconds(fabric, two_at_once(false, true), "ring");
    const double both = milliseconds(fabric, two_at_once(true, true), "ring");
    fmt::print("256 MiB alone {:.4f} ms, 512 MiB alone {:.4f} ms, both {:.4f} ms\n", a, b, both);
    CHECK(both > 1.3 * b);          // they share the same links
    CHECK(both < 1.001 * (a + b));  // and waste none of them
    CHECK(both > 0.97 * (a + b));
}

}  // namespace
}  // namespace weft::tests
