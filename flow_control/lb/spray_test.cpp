#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "base/rng.hpp"
#include "flow_control/lb/adaptive.hpp"
#include "flow_control/lb/entropy.hpp"
#include "flow_control/lb/flowlet.hpp"

using namespace weft;

namespace {

struct Host {
    explicit Host(SprayRule rule, std::uint64_t key = 1, std::uint32_t entropies = 64)
        : profile{rule, entropies, ms(10)},
          storage(HostEntropy::storage(profile)),
          entropy(profile, key, storage) {}
    SprayProfile profile;
    std::vector<std::uint8_t> storage;
    HostEntropy entropy;
};

/// Sends 4000 packets over 8 paths that entropies hash to, answers come 32 packets later; what
/// path 3 does to packets is `fate`. The share of the last 3000 packets that took path 3, in
/// 1/1000.
int share_of_path_3(Host& host, PathNews fate) {
    std::vector<std::uint32_t> out;
    int bad = 0;
    for (int n = 0; n < 4000; ++n) {
        const SimTime now = SimTime{} + ns(100) * n;
        const std::uint32_t e = host.entropy.next();
        REQUIRE(e < 64);
        out.push_back(e);
        if (n >= 1000 && mix64(e) % 8 == 3) ++bad;
        if (n < 32) continue;
        const std::uint32_t back = out[static_cast<std::size_t>(n) - 32];
        const bool ill = mix64(back) % 8 == 3;
        host.entropy.feedback(back, ill ? fate : PathNews::kGood, now, host.profile);
    }
    return bad * 1000 / 3000;
}

}  // namespace

static_assert(sizeof(HostEntropy) <= 56);

TEST_CASE("oblivious spraying uses every entropy once a round, in other orders", "[unit]") {
    Host host{SprayRule::kOblivious, 5, 1024};
    std::vector<std::uint32_t> first, second;
    for (auto* round : {&first, &second}) {
        std::vector<bool> seen(1024);
        for (int n = 0; n < 1024; ++n) {
            const std::uint32_t e = host.entropy.next();
            REQUIRE_FALSE(seen[e]);
            seen[e] = true;
            round->push_back(e);
        }
    }
    CHECK(first != second);
}

TEST_CASE("REPS, the bitmap and both together leave a congested path", "[property]") {
    Host oblivious{SprayRule::kOblivious};
    const int fair = share_of_path_3(oblivious, PathNews::kMarked);
    CHECK(fair > 60);
    for (std::uint64_t key = 0; key < 20; ++key) {
        INFO("key " << key);
        Host reps{SprayRule::kReps, key};
        CHECK(share_of_path_3(reps, PathNews::kMarked) <= fair / 4);
        Host mixed{SprayRule::kMixed, key};
        CHECK(share_of_path_3(mixed, PathNews::kMarked) <= fair / 4);
        // A mark costs one turn, so a path that marks all gets about half its share.
        Host bitmap{SprayRule::kBitmap, key};
        CHECK(share_of_path_3(bitmap, PathNews::kMarked) <= fair * 6 / 10);
        Host lossy{SprayRule::kBitmap, key};
        CHECK(share_of_path_3(lossy, PathNews::kLost) <= fair * 4 / 10);
    }
}

TEST_CASE("REPS freezes on what works after a timeout, and explores later", "[unit]") {
    Host host{SprayRule::kReps};
    HostEntropy& reps = host.entropy;
    for (std::uint32_t e = 10; e < 22; ++e)
        reps.feedback(e, PathNews::kGood, SimTime{}, host.profile);
    // The newest eight, first come first used, once each.
    for (std::uint32_t e = 14; e < 18; ++e) CHECK(reps.next() == e);
    reps.feedback(40, PathNews::kTimeout, SimTime{} + us(1), host.profile);
    CHECK(reps.frozen());
    for (int n = 0; n < 100; ++n) {
        const std::uint32_t e = reps.next();
        REQUIRE(e >= 14);
        REQUIRE(e < 22);
    }
    reps.feedback(14, PathNews::kGood, SimTime{} + ms(5), host.profile);
    CHECK(reps.frozen());
    reps.feedback(14, PathNews::kGood, SimTime{} + ms(11), host.profile);
    CHECK_FALSE(reps.frozen());
    std::vector<bool> seen(64);
    for (int n = 0; n < 16; ++n) seen[reps.next()] = true;
    CHECK(std::count(seen.begin(), seen.end(), true) > 8);
    CHECK(reps.next() == 14);
}

TEST_CASE("a bitmap of penalties everywhere still sends", "[unit]") {
    Host host{SprayRule::kBitmap, 3, 8};
    for (int n = 0; n < 100; ++n)
        for (std::uint32_t e = 0; e < 8; ++e)
            host.entropy.feedback(e, PathNews::kTimeout, SimTime{}, host.profile);
    for (int n = 0; n < 8 * 15 * 8; ++n) REQUIRE(host.entropy.next() < 8);
    // The penalties are served by now.
    std::vector<bool> seen(8);
    for (int n = 0; n < 16; ++n) seen[host.entropy.next()] = true;
    CHECK(std::count(seen.begin(), seen.end(), true) == 8);
}

TEST_CASE("a flowlet keeps its port within the gap and moves after it", "[property]") {
    FlowletTable table{8, us(50)};
    RandomStream random{2, 0, "flowlets"};
    std::uint32_t port[256] = {};
    SimTime last[256];
    bool known[256] = {};
    SimTime now;
    std::int64_t picks = 0, moved = 0;
    for (int n = 0; n < 20'000; ++n) {
        now += ns(static_cast<std::int64_t>(random.below(1000)));
        const std::uint64_t flow = random.below(256);
        const std::uint32_t chosen = table.choose(flow, now, 16, [&] {
            ++picks;
            return random.below(16);
        });
        if (known[flow] && now - last[flow] <= us(50)) REQUIRE(chosen == port[flow]);
        if (known[flow] && chosen != port[flow]) ++moved;
        port[flow] = chosen;
        last[flow] = now;
        known[flow] = true;
    }
    CHECK(picks == table.flowlets());
    CHECK(moved > 1000);
    table.forget(port[0]);
    CHECK(table.choose(0, now, 16, [] { return 9U; }) == 9);
    CHECK(table.choose(0, now, 8, [] { return 2U; }) == 2);  // fewer ports than before
    CHECK(table.bytes() <= sizeof table + 256 * 16);
}

TEST_CASE("a packet takes the port of the least level, ties in turn or by hash", "[unit]") {
    AdaptivePort choice;
    std::vector<Bytes> queues(6, Bytes{9000});
    const auto depth = [&](std::size_t i) { return queues[i]; };
    for (std::size_t n = 0; n < 12; ++n) CHECK(choice.least_in_turn(6, depth) == n % 6);
    CHECK(choice.least(6, depth, 4) == 4);
    queues[2] = Bytes{8191};  // one level less: 4096 to 8191
    CHECK(choice.least(6, depth, 4) == 2);
    queues[5] = Bytes{4096};  // the same level, and first from 4 on
    CHECK(choice.least(6, depth, 4) == 5);
    queues[0] = Bytes{10};
    CHECK(choice.least_in_turn(6, depth) == 0);
    for (Bytes& q : queues) q = 1_MiB;  // all beyond the last level: equal
    queues[3] = 32_KiB;
    CHECK(choice.least(6, depth, 1) == 1);
}

TEST_CASE("adaptive choices keep queues level where random ones do not", "[property]") {
    // 32 ports, each packet of 4 KiB to one of them, every port sends one packet a round.
    constexpr std::size_t kPorts = 32;
    Bytes worst[3];
    for (const int rule : {0, 1, 2}) {
        AdaptivePort choice;
        choice.levels = 64;
        std::vector<Bytes> queues(kPorts);
        const auto depth = [&](std::size_t i) { return queues[i]; };
        RandomStream random{4, static_cast<std::uint64_t>(rule), "packets"};
        for (int round = 0; round < 500; ++round) {
            for (std::size_t k = 0; k < kPorts - 1; ++k) {
                std::size_t port = random.below(kPorts);
                if (rule == 1) port = choice.two_choices(kPorts, depth, random.next());
                if (rule == 2) port = choice.least_in_turn(kPorts, depth);
                queues[port] += 4_KiB;
                worst[rule] = std::max(worst[rule], queues[port]);
            }
            for (Bytes& q : queues) q = std::max(Bytes{}, q - 4_KiB);
        }
    }
    CHECK(worst[2] <= 4_KiB);
    CHECK(worst[1] <= 24_KiB);
    CHECK(worst[0] > 40_KiB);
}
