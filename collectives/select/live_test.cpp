#include "collectives/select/live.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "collectives/plan/checker.hpp"

namespace weft {
namespace {

using namespace literals;

GroupShape one_host(std::size_t ranks) {
    return {.n = ranks, .uniform = true, .per_host = ranks, .hosts = 1};
}

std::size_t most_peers(const PlanTemplate& plan) {
    std::size_t most = 0;
    for (std::uint32_t rank = 0; rank < plan.n; ++rank) {
        std::set<std::uint32_t> peers;
        for (std::size_t c = 0; c < plan.channels.size(); ++c)
            for (std::size_t s = 0; s < plan.channels[c].stages.size(); ++s) {
                for (std::uint32_t i = 0; i < send_count(plan, c, s, rank); ++i)
                    peers.insert(send_at(plan, c, s, rank, i).peer);
                for (std::uint32_t i = 0; i < recv_count(plan, c, s, rank); ++i)
                    peers.insert(recv_at(plan, c, s, rank, i).peer);
            }
        most = std::max(most, peers.size());
    }
    return most;
}

TEST_CASE("rooted collectives take a tree where there are many ranks and little data", "[unit]") {
    GroupShape many;
    many.n = many.hosts = 16;
    GroupShape few;
    few.n = few.hosts = 3;
    const auto name = [](Collective c, std::int64_t bytes, const GroupShape& shape) {
        const LiveChoice choice = choose_live(c, Bytes{bytes}, shape, 1);
        CHECK(choice.params.root == 1);
        CHECK(build_live(c, choice, shape).root == 1);
        return choice.algorithm;
    };
    for (const Collective c : {Collective::kGather, Collective::kScatter}) {
        CHECK(name(c, 1024, many) == "tree");
        CHECK(name(c, 1 << 20, many) == "direct");
        CHECK(name(c, 1024, few) == "direct");
    }
    CHECK(name(Collective::kReduce, 1024, many) == "tree");
    CHECK(name(Collective::kReduce, 1 << 20, many) == "chain");
    CHECK(name(Collective::kReduce, 1024, few) == "chain");
}

TEST_CASE("Many ranks of one host connect to few others", "[unit]") {
    const GroupShape shape = one_host(256);
    for (const Bytes total : {8_B, 256_KiB, 64_MiB}) {
        const LiveChoice choice = choose_live(Collective::kAllReduce, total, shape, 0);
        const PlanTemplate plan = build_live(Collective::kAllReduce, choice, shape);
        INFO(to_string(total) << ": " << choice.algorithm);
        CHECK(most_peers(plan) <= 6);
    }
}

TEST_CASE("What many ranks of one host run is an all-reduce of few steps", "[unit]") {
    const GroupShape shape = one_host(40);
    const LiveChoice choice = choose_live(Collective::kAllReduce, 8_B, shape, 0);
    const CheckReport report = check_plan(build_live(Collective::kAllReduce, choice, shape));
    INFO(report.problem);
    CHECK(report.ok);
    CHECK(report.steps <= 14);
}

TEST_CASE("A small broadcast takes steps as few as the logarithm of its ranks", "[unit]") {
    const GroupShape hosts{.n = 100, .uniform = true, .per_host = 1, .hosts = 100};
    for (const Bytes total : {8_B, 256_KiB}) {
        const LiveChoice choice = choose_live(Collective::kBroadcast, total, hosts, 7);
        const CheckReport report = check_plan(build_live(Collective::kBroadcast, choice, hosts));
        INFO(report.problem);
        CHECK(report.ok);
        CHECK(choice.algorithm == "tree");
    }
    CHECK(choose_live(Collective::kBroadcast, 1_MiB, hosts, 7).algorithm == "chain");
}

TEST_CASE("Sizes of one bucket have one Plan", "[property]") {
    for (const std::size_t ranks : {2, 8, 32, 33, 256})
        for (const Collective c :
             {Collective::kAllReduce, Collective::kAllGather, Collective::kBroadcast}) {
            std::map<std::uint32_t, std::string> plans;
            for (std::int64_t bytes = 1; bytes <= std::int64_t{1} << 30; bytes *= 2) {
                const LiveChoice choice = choose_live(c, Bytes{bytes}, one_host(ranks), 0);
                const auto known = plans.emplace(choice.bucket, choice.algorithm).first;
                CHECK(known->second == choice.algorithm);
            }
        }
}

TEST_CASE("Between hosts a connection holds at least a megabyte, whatever its slices", "[unit]") {
    const GroupShape hosts{.n = 4, .uniform = true, .per_host = 1, .hosts = 4};
    for (std::int64_t bytes = 1 << 20; bytes <= std::int64_t{1} << 30; bytes *= 2) {
        const AlgorithmParams p =
            choose_live(Collective::kAllReduce, Bytes{bytes}, hosts, 0).params;
        INFO(bytes);
        CHECK(p.slice.count() * p.slots >= 1 << 20);
        CHECK(p.slice.count() * p.slots <= 4 << 20);
        const Bytes block = choose_live(Collective::kAllToAll, Bytes{bytes}, hosts, 0).params.slice;
        CHECK(block <= p.slice);
    }
}

}  // namespace
}  // namespace weft
