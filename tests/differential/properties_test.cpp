// Properties of the flow engine over random small scenes: never below the bound of its links, bytes
// as the Plan moves them, the same with symmetry off, the same twice, and near the naive fluid
// simulation. The seed of a failing scene is printed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fmt/core.h>

#include "base/rng.hpp"
#include "tests/differential/scene.hpp"

namespace weft::tests {
namespace {

struct Pair {
    Collective kind;
    const char* algorithm;
};
constexpr Pair kAlgorithms[] = {
    {Collective::kAllReduce, "ring"},  {Collective::kAllReduce, "hierarchical"},
    {Collective::kAllGather, "ring"},  {Collective::kReduceScatter, "ring"},
    {Collective::kAllToAll, "direct"}, {Collective::kAllToAll, "rail"},
};
constexpr const char* kFabrics[] = {
    "hpn7:segments=2,hosts_per_segment=1",
    "hpn7:segments=1,hosts_per_segment=2,scale_up_rate=900GB/s",
    "hpn7:segments=2,hosts_per_segment=1,mode=single-plane,port_rate=100Gbps",
    "dcn+:pods=1,hosts_per_segment=1,tor_uplinks=8,trunk_rate=100Gbps,scale_up_rate=900GB/s",
    "rail2:units=2,hosts_per_unit=1,leaf_uplinks=2,trunk_rate=200Gbps",
};

Scene random_scene(std::uint64_t seed) {
    RandomStream draw(seed, 0, "scene");
    Scene s;
    s.fabric = kFabrics[draw.below(std::size(kFabrics))];
    const Pair& pair = kAlgorithms[draw.below(std::size(kAlgorithms))];
    s.algorithm = pair.algorithm;
    s.ranks = 16;
    s.library = draw.below(2) == 0 ? "weft" : "nccl-static";
    s.qps = static_cast<std::uint32_t>(draw.below(3));
    s.seed = 1 + draw.below(1000);
    const std::uint32_t jobs = 1 + static_cast<std::uint32_t>(draw.below(2));
    s.groups.size = 16 / jobs;
    s.groups.stride = jobs == 2 && draw.below(2) == 0 ? 2 : 1;
    std::int64_t size = 0;
    for (std::uint32_t j = 0; j < jobs; ++j) {
        size += static_cast<std::int64_t>(64 + draw.below(448)) << 20;
        s.jobs.push_back({pair.kind, Bytes{size}});
    }
    return s;
}

std::string words(const Scene& s, std::uint64_t seed) {
    return fmt::format("scene {}: {} {}/{} {} qps {} seed {} groups of {} stride {}", seed,
                       s.fabric, name_of(s.jobs[0].kind), s.algorithm, s.library, s.qps, s.seed,
                       s.groups.size, s.groups.stride);
}

std::int64_t carried(const Result& r) {
    std::int64_t sum = 0;
    for (const LinkGroupUse& g : r.link_groups) sum += g.carried.count();
    return sum;
}

TEST_CASE("random scenes keep the engine's promises", "[differential][property]") {
    std::vector<double> off;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        const Scene scene = random_scene(seed);
        const std::string what = words(scene, seed);
        INFO(what);
        const Theatre theatre{scene};
        const Result result = theatre.result();
        CHECK(to_json(result) == to_json(theatre.result()));
        CHECK(result.step_time == theatre.result(false).step_time);
        CHECK(result.step_time >= result.lower_bound);

        const NaiveResult naive = theatre.naive_result();
        REQUIRE(naive.finished);
        double bytes = 0;
        double bound = 0;
        for (std::size_t l = 0; l < naive.carried.size(); ++l) {
            const Link& link = theatre.fabric().links()[l];
            bytes += naive.carried[l];
            bound = std::max(
                bound, naive.carried[l] * 8 / static_cast<double>(link.capacity.bits_per_second()));
        }
        const double time = static_cast<double>(result.step_time.ps()) * 1e-12;
        CHECK(static_cast<double>(carried(result)) == Approx(bytes).epsilon(1e-4));
        if (scene.library != "weft") CHECK(time >= bound * (1 - 1e-6));
        off.push_back(time / naive.last() - 1);
        if (std::abs(off.back()) > 0.02) fmt::print("{:+.2f} % {}\n", off.back() * 100, what);
        // Stages in slice loops (hierarchical, rail) are priced by bounds: docs/design/0001.
        if (scene.algorithm == "ring" || scene.algorithm == "direct")
            CHECK(std::abs(off.back()) <= 0.05);
    }
    std::sort(off.begin(), off.end());
    fmt::print(
        "engine against naive, {} random scenes: least {:+.3f} %, median {:+.3f} %, most "
        "{:+.3f} %\n",
        off.size(), off.front() * 100, off[off.size() / 2] * 100, off.back() * 100);
}

}  // namespace
}  // namespace weft::tests
