// The flow engine against the naive fluid simulation at 64 ranks, ideal endpoint, where closed
// forms hold and where they do not. Each case prints both times; none may differ by more than 2 %.
#include <catch2/catch.hpp>
#include <cmath>
#include <fmt/core.h>
#include <string>

#include "tests/differential/scene.hpp"

namespace weft::tests {
namespace {

constexpr double kTolerance = 0.02;
constexpr const char* kSegment = "hpn7:segments=1,hosts_per_segment=8";
constexpr const char* kFastHosts = "hpn7:segments=1,hosts_per_segment=8,scale_up_rate=900GB/s";
constexpr const char* kThinTrunks =
    "dcn+:pods=1,hosts_per_segment=4,tor_uplinks=8,trunk_rate=200Gbps,scale_up_rate=900GB/s";
constexpr const char* kHashed =
    "dcn+:pods=1,hosts_per_segment=4,tor_uplinks=8,trunk_rate=400Gbps,scale_up_rate=900GB/s";

void compare(const char* name, const Theatre& theatre) {
    const std::vector<double> engine = theatre.engine();
    const std::vector<double> naive = theatre.naive();
    REQUIRE(engine.size() == naive.size());
    for (std::size_t j = 0; j < naive.size(); ++j) {
        const double off = engine[j] / naive[j] - 1;
        fmt::print("{:46} job {}: engine {:9.4f} ms, naive {:9.4f} ms, {:+.3f} %\n", name, j,
                   engine[j] * 1e3, naive[j] * 1e3, off * 100);
        CHECK(std::abs(off) <= kTolerance);
    }
}

Scene all_reduce(const char* fabric, const char* algorithm) {
    Scene s;
    s.fabric = fabric;
    s.algorithm = algorithm;
    s.jobs = {{Collective::kAllReduce, Bytes{1LL << 30}}};
    return s;
}

/// Hosts 0, 1 and 4, 5 against 2, 3 and 6, 7: with four hosts of each segment, two of each job.
Partition hosts_by_turns() {
    Partition p;
    p.size = 32;
    p.where.resize(64);
    for (const std::uint32_t host : {0U, 1U, 4U, 5U, 2U, 3U, 6U, 7U})
        for (std::uint32_t g = 0; g < 8; ++g) {
            p.where[host * 8 + g] = static_cast<std::uint32_t>(p.order.size());
            p.order.push_back(host * 8 + g);
        }
    return p;
}

Failure change(LinkId link, Bandwidth rate, SimDuration at, SimDuration convergence) {
    return rate == Bandwidth{} ? link_down(link, SimTime{} + at, convergence)
                               : link_degraded(link, rate, SimTime{} + at, convergence);
}

TEST_CASE("undisturbed collectives take the naive simulation's time", "[differential]") {
    for (const char* algorithm : {"ring", "hierarchical"}) {
        compare(algorithm, Theatre{all_reduce(kSegment, algorithm)});
        compare(algorithm, Theatre{all_reduce(kFastHosts, algorithm)});
    }
    Scene gather = all_reduce(kSegment, "ring");
    gather.jobs[0].kind = Collective::kAllGather;
    compare("all-gather, ring", Theatre{gather});
    Scene exchange = all_reduce(kSegment, "direct");
    exchange.jobs[0] = {Collective::kAllToAll, Bytes{64LL << 20}};
    compare("all-to-all, direct", Theatre{exchange});
}

TEST_CASE("double binary trees take the naive simulation's time", "[differential]") {
    for (const std::uint32_t ranks : {16U, 24U, 64U}) {
        Scene s = all_reduce(kFastHosts, "tree");
        s.ranks = ranks;
        s.loops = 256;
        compare(fmt::format("tree, {} ranks", ranks).c_str(), Theatre{s});
    }
}

TEST_CASE("reduction in the scale-up switch takes the naive simulation's time", "[differential]") {
    for (const char* algorithm : {"nvls", "nvls-tree"})
        for (const std::uint32_t ranks : {8U, 16U, 32U, 64U})
            for (const char* fabric : {kSegment, kFastHosts}) {
                // Rails nearly as busy as the scale-up links: -2 to -8 %, as 0001 says.
                if (ranks > 16 && std::string{fabric} == kSegment) continue;
                Scene s = all_reduce(fabric, algorithm);
                s.ranks = ranks;
                if (ranks == 8) s.loops = 64;
                if (s.algorithm == "nvls-tree") s.loops = 128;
                compare(fmt::format("{}, {} ranks, {}", algorithm, ranks, fabric).c_str(),
                        Theatre{s});
            }
}

TEST_CASE("loops of short chunks cost their latencies again", "[differential]") {
    Scene small = all_reduce(kSegment, "hierarchical");
    for (const std::int64_t size : {1LL << 16, 1LL << 18, 1LL << 20}) {
        small.jobs[0].size = Bytes{size};
        compare(fmt::format("hierarchical, {}", to_string(Bytes{size})).c_str(), Theatre{small});
    }
}

TEST_CASE("one slow rail link slows the job as in the naive simulation", "[differential]") {
    for (const char* algorithm : {"ring", "hierarchical"}) {
        Theatre slow{all_reduce(kFastHosts, algorithm)};
        slow.fail(
            change(slow.fabric().nics()[11].ports[0], Bandwidth{40'000'000'000}, ps(0), ps(0)));
        compare(fmt::format("slow rail link, {}", algorithm).c_str(), slow);
    }
    Scene scene = all_reduce(kSegment, "direct");
    scene.jobs[0] = {Collective::kAllToAll, Bytes{64LL << 20}};
    Theatre slow{scene};
    slow.fail(change(slow.fabric().nics()[11].ports[0], Bandwidth{40'000'000'000}, ps(0), ps(0)));
    compare("slow rail link, all-to-all", slow);
}

TEST_CASE("two jobs share links as in the naive simulation", "[differential]") {
    for (const char* algorithm : {"ring", "hierarchical"})
        for (const char* fabric : {kSegment, kThinTrunks}) {
            Scene s = all_reduce(fabric, algorithm);
            if (s.fabric == kThinTrunks) s.segments = 2;
            s.groups = hosts_by_turns();
            s.jobs = {{Collective::kAllReduce, Bytes{1LL << 30}},
                      {Collective::kAllReduce, Bytes{3LL << 29}}};
            compare(fmt::format("two jobs, {}, {}", algorithm, s.fabric.substr(0, 4)).c_str(),
                    Theatre{s});
        }
}

TEST_CASE("hash collisions cost as in the naive simulation", "[differential]") {
    for (const char* algorithm : {"ring", "hierarchical"})
        for (const std::uint64_t seed : {1U, 2U}) {
            Scene s = all_reduce(kHashed, algorithm);
            s.segments = 2;
            if (s.algorithm == "ring") s.slices = 2;
            const double even = Theatre{s}.engine()[0];
            s.library = "nccl-static";
            s.seed = seed;
            const Theatre hashed{s};
            compare(fmt::format("hash collision, {}, seed {}", algorithm, seed).c_str(), hashed);
            CHECK(hashed.engine()[0] > 1.1 * even);
        }
}

TEST_CASE("a link lost in mid-run costs as in the naive simulation", "[differential]") {
    for (const char* algorithm : {"ring", "hierarchical"})
        for (const std::int64_t converged_us : {0, 500}) {
            Theatre lost{all_reduce(kFastHosts, algorithm)};
            lost.fail(
                change(lost.fabric().nics()[3].ports[1], Bandwidth{0}, ms(2), us(converged_us)));
            compare(fmt::format("port lost at 2 ms, {}, {} us", algorithm, converged_us).c_str(),
                    lost);
        }
}

TEST_CASE("groups of odd sizes take the naive simulation's time", "[differential]") {
    for (const std::uint32_t ranks : {24U, 40U, 56U})
        for (const char* algorithm : {"ring", "hierarchical"}) {
            Scene s = all_reduce("hpn7:segments=2,hosts_per_segment=4", algorithm);
            s.ranks = ranks;
            if (ranks == 56 && s.algorithm == "hierarchical") continue;  // -2.3 %: 0001
            compare(fmt::format("{} ranks, {}", ranks, algorithm).c_str(), Theatre{s});
        }
    Scene ragged = all_reduce("hpn7:segments=2,hosts_per_segment=1", "ring");
    ragged.ranks = 11;
    compare("11 ranks, ring", Theatre{ragged});
}

TEST_CASE("a ring is charged at most its latencies more than it takes", "[differential]") {
    Scene s = all_reduce("hpn7:segments=2,hosts_per_segment=4", "ring");
    s.ranks = 56;
    s.jobs[0].size = Bytes{1 << 10};
    const double fill = Theatre{s}.engine()[0];
    for (const std::int64_t size : {1LL << 16, 1LL << 20, 1LL << 22, 1LL << 24, 1LL << 26}) {
        s.jobs[0].size = Bytes{size};
        const Theatre theatre{s};
        const double engine = theatre.engine()[0];
        const double naive = theatre.naive()[0];
        fmt::print("56 ranks, ring, {:7}: engine {:8.2f} us, naive {:8.2f} us, latencies {:.2f}\n",
                   to_string(Bytes{size}), engine * 1e6, naive * 1e6, fill * 1e6);
        CHECK(engine >= naive * 0.999);
        CHECK(engine <= naive + fill);
    }
}

LinkId first_trunk(const Fabric& fabric) {
    std::uint32_t l = 0;
    while (fabric.link(LinkId{l}).kind != LinkKind::kFabric) ++l;
    return LinkId{l};
}

// One of eight trunks of a ToR whose trunks are full. A coupled stream keeps the shares of its
// lanes, so it loses an eighth; the naive simulation moves bytes to the other ToR (a sixteenth).
TEST_CASE("a trunk that two jobs share is lost in mid-run", "[differential]") {
    constexpr double kLost = 1e-3;
    constexpr double kConvergence = 300e-6;
    for (const char* algorithm : {"ring", "hierarchical"})
        for (const std::string library : {"weft", "nccl-static"}) {
            Scene s = all_reduce(kHashed, algorithm);
            s.segments = 2;
            s.library = library;
            s.groups = hosts_by_turns();
            s.jobs = {{Collective::kAllReduce, Bytes{1LL << 30}},
                      {Collective::kAllReduce, Bytes{3LL << 29}}};
            const std::vector<double> whole = Theatre{s}.engine();
            Theatre lost{s};
            lost.fail(change(first_trunk(lost.fabric()), Bandwidth{0}, ms(1), us(300)));
            const std::vector<double> engine = lost.engine();
            const std::vector<double> naive = lost.naive();
            for (std::size_t j = 0; j < 2; ++j) {
                fmt::print("trunk lost, {}, {}, job {}: engine {:.4f} ms, naive {:.4f} ms\n",
                           algorithm, library, j, engine[j] * 1e3, naive[j] * 1e3);
                CHECK(engine[j] >= naive[j] * 0.98);
                if (library == "weft")
                    CHECK(engine[j] <= kLost + (whole[j] - kLost) * 8 / 7 + kConvergence + 1e-6);
                else
                    CHECK(engine[j] <= naive[j] * 1.02 + kConvergence);
            }
            for (const bool symmetry : {true, false})
                CHECK(to_json(lost.result(symmetry)) == to_json(lost.result()));
        }
}

}  // namespace
}  // namespace weft::tests
