#include "collectives/select/nccl.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace weft;
using nccl::Algorithm;
using nccl::Candidate;
using nccl::Graph;
using nccl::Machine;
using nccl::Overrides;
using nccl::Tuner;
using nccl::Version;
using C = Collective;
using P = WireProtocol;

namespace {

constexpr std::int64_t kGB = 1'000'000'000;

Machine h100(std::int64_t hosts = 1) {
    return {.hosts = hosts,
            .scale_up = 450_GBps,
            .nic = 400_Gbps,
            .in_network = true,
            .nic_latency = {}};
}
Machine h800(std::int64_t hosts = 1) {
    Machine m = h100(hosts);
    m.scale_up = 200_GBps;
    return m;
}
Machine a100(std::int64_t hosts = 1) {
    return {.generation = GpuGeneration::kAmpere,
            .cpu = CpuVendor::kAmd,
            .hosts = hosts,
            .scale_up = 300_GBps,
            .nic = 200_Gbps,
            .nic_latency = {}};
}
Machine b200() {
    Machine m = h100();
    m.generation = GpuGeneration::kBlackwell;
    m.scale_up = 900_GBps;
    return m;
}

std::string chosen(const Tuner& t, C kind, Bytes size) {
    const Candidate c = t.choose(kind, size);
    return std::string(nccl::name_of(c.algorithm)) + "/" + name_of(c.protocol);
}

Bytes power(int log) {
    return Bytes{std::int64_t{1} << log};
}

}  // namespace

TEST_CASE("the search finds the channels that NCCL logs", "[unit]") {
    // Issue 1197: rings and trees 12 x 30, NVLS 8 x 40; issue 892: H800 uses 16 channels.
    const Tuner old(Version::k2_18, h100());
    CHECK(old.ring() == Graph{12, 30 * kGB, 30 * kGB});
    CHECK(old.tree() == Graph{12, 30 * kGB, 30 * kGB});
    CHECK(old.nvls().channels == 8);
    CHECK(old.nvls().intra == 40 * kGB);
    CHECK(old.channels() == 24);
    CHECK(Tuner(Version::k2_18, h800()).channels() == 16);
    CHECK(Tuner(Version::k2_18, a100()).ring() == Graph{12, 20 * kGB, 20 * kGB});
    CHECK(Tuner(Version::k2_18, a100()).channels() == 24);
    CHECK(Tuner(Version::k2_30, b200()).channels() == 32);
    CHECK(Tuner(Version::k2_30, b200()).nvls_channels() == 24);
    const Tuner two(Version::k2_30, h100(2));
    CHECK(two.ring() == Graph{8, 45 * kGB, 45 * kGB});
    CHECK(two.nvls() == Graph{8, 45 * kGB, 48 * kGB});
    CHECK(two.channels() == 16);
    CHECK(Tuner(Version::k2_18, a100(2)).ring() == Graph{8, 24 * kGB, 24 * kGB});
}

TEST_CASE("eight H200 take Ring/LL up to 1 MiB and NVLS/Simple above", "[unit]") {
    const Tuner t(Version::k2_30, h100());
    for (int log = 3; log <= 20; ++log) CHECK(chosen(t, C::kAllReduce, power(log)) == "ring/LL");
    for (int log = 21; log <= 34; ++log)
        CHECK(chosen(t, C::kAllReduce, power(log)) == "nvls/Simple");
}

TEST_CASE("A100 takes Ring/LL, then LL128, then Simple", "[unit]") {
    for (const Version v : {Version::k2_18, Version::k2_30}) {
        const Tuner t(v, a100());
        for (int log = 3; log <= 20; ++log)
            CHECK(chosen(t, C::kAllReduce, power(log)) == "ring/LL");
        for (int log = 22; log <= 24; ++log)
            CHECK(chosen(t, C::kAllReduce, power(log)) == "ring/LL128");
        for (int log = 25; log <= 34; ++log)
            CHECK(chosen(t, C::kAllReduce, power(log)) == "ring/Simple");
    }
}

TEST_CASE("the log of eight H200 says ring for all-gather and reduce-scatter", "[unit]") {
    const Tuner t(Version::k2_30, h100());
    CHECK(chosen(t, C::kAllGather, power(34)) == "ring/Simple");
    CHECK(chosen(t, C::kReduceScatter, power(34)) == "ring/Simple");
}

TEST_CASE("NVLS pays from five GPUs on", "[unit]") {
    // 8 GiB with NVLS on and off: 4 GPUs 363/363, 5 414/364, 6 436/365, 7 460/366, 8 473/366.
    for (std::int64_t gpus = 2; gpus <= 8; ++gpus) {
        Machine m = h100();
        m.ranks_per_host = gpus;
        m.nics = gpus;
        CHECK(chosen(Tuner(Version::k2_30, m), C::kAllReduce, power(33)) ==
              (gpus < 5 ? "ring/Simple" : "nvls/Simple"));
    }
}

TEST_CASE("over hosts NVLS serves as it was published to", "[unit]") {
    // Issue 1221, NCCL 2.19: NVLS helps up to two hosts of H100, more run at the ring's rate.
    CHECK(chosen(Tuner(Version::k2_18, h100(2)), C::kAllReduce, power(33)) == "nvls-tree/Simple");
    CHECK(chosen(Tuner(Version::k2_18, h100(4)), C::kAllReduce, power(33)) == "ring/Simple");
    // HPN24, NCCL 2.18.3, 56 hosts of H800: NVLS for all-reduce, none for all-gather.
    const Tuner hpn(Version::k2_18, h800(56));
    CHECK(chosen(hpn, C::kAllReduce, power(30)) == "nvls-tree/Simple");
    CHECK(hpn.choose(C::kAllGather, power(30)).algorithm == Algorithm::kRing);
    // Four p5en: two NICs of 200G for each GPU, each a device of its own.
    Machine p5en = h100(4);
    p5en.nics = 16;
    p5en.nic = 200_Gbps;
    CHECK(chosen(Tuner(Version::k2_30, p5en), C::kAllReduce, power(32)) == "ring/Simple");
}

TEST_CASE("predictions are NCCL's sums", "[unit]") {
    const auto at = [](const Tuner& t, C kind, Algorithm a, P p, Bytes size) {
        for (const Candidate& c : t.candidates(kind, size))
            if (c.algorithm == a && c.protocol == p) return c;
        return Candidate{};
    };
    const Tuner t(Version::k2_30, h100());
    // 6.6 + 14 x .6 us; min(141, 360 / 2) x 8/14 GB/s.
    const Candidate ll = at(t, C::kAllReduce, Algorithm::kRing, P::kLl, 1_MiB);
    CHECK(ll.latency == us(15));
    CHECK(ll.bytes_per_s == 141 * kGB * 8 / 14);
    CHECK(ll.predicted.ps() == 15'000'000 + 13'014'241);
    // 8 x 40 x .85 x 7/8 x 2 x 8/14.
    const Candidate nvls = at(t, C::kAllReduce, Algorithm::kNvls, P::kSimple, 1_MiB);
    CHECK(nvls.latency == us(25));
    CHECK(nvls.bytes_per_s == 272 * kGB);
    // 40.6 us; min(360 x .92, 12 x 36.7) x 8/14.
    const Candidate ll128 = at(t, C::kAllReduce, Algorithm::kRing, P::kLl128, 1_MiB);
    CHECK(ll128.latency == ns(40600));
    CHECK(ll128.bytes_per_s == 3312 * kGB / 10 * 8 / 14);
    // 360 x .92 / 2, at 1 MiB half of it.
    const Candidate tree = at(t, C::kAllReduce, Algorithm::kTree, P::kSimple, 1_MiB);
    CHECK(tree.latency == ns(64400));
    CHECK(tree.bytes_per_s == 828 * kGB / 10);
    // Two p5 (AMD): 6.6 + 28 x 2 + 2 x 2.7 us; 8 x 45 GB/s with the plateau of 1.4.
    Machine p5 = h100(2);
    p5.cpu = CpuVendor::kAmd;
    const Tuner two(Version::k2_30, p5);
    CHECK(at(two, C::kAllReduce, Algorithm::kRing, P::kLl, 8_B).latency == us(68));
    const Candidate large = at(two, C::kAllReduce, Algorithm::kRing, P::kSimple, 1_GiB);
    CHECK(large.latency == ns((8400 + 28 * 6000 + 2 * 14000) * 14 / 10));
    CHECK(large.bytes_per_s == 192 * kGB);
    CHECK(at(two, C::kAllReduce, Algorithm::kNvlsTree, P::kSimple, 1_GiB).latency == ns(66800));
}

TEST_CASE("channels follow the bytes", "[unit]") {
    const Tuner t(Version::k2_30, h100());
    CHECK(t.choose(C::kAllReduce, 8_B).channels == 1);
    CHECK(t.choose(C::kAllReduce, 512_KiB).channels == 16);  // 8 ranks x 512 threads x 8 B each
    CHECK(t.choose(C::kAllReduce, 1_MiB).channels == 24);
    CHECK(t.choose(C::kAllReduce, 1_GiB).channels == 16);  // NVLS
    CHECK(t.choose(C::kAllGather, 1_GiB).channels == 24);
    CHECK(Tuner(Version::k2_30, h100(), {.algorithm = {}, .protocol = {}, .max_channels = 4})
              .choose(C::kAllGather, 1_GiB)
              .channels == 4);
}

TEST_CASE("environment variables take candidates away", "[unit]") {
    const Overrides off{.algorithm = {}, .protocol = {}, .nvls = false};
    CHECK(chosen(Tuner(Version::k2_30, h100(), off), C::kAllReduce, 1_GiB) == "ring/Simple");
    const Overrides tree{.algorithm = Algorithm::kTree, .protocol = P::kLl128};
    CHECK(chosen(Tuner(Version::k2_30, h100(), tree), C::kAllReduce, 8_B) == "tree/LL128");
    // Where nothing is left, rings serve.
    const Overrides nvls{.algorithm = Algorithm::kNvls, .protocol = {}};
    CHECK(chosen(Tuner(Version::k2_30, a100(), nvls), C::kAllReduce, 1_GiB) == "ring/Simple");
    CHECK(chosen(Tuner(Version::k2_30, h100(), tree), C::kAllGather, 8_B) == "ring/LL");
}

TEST_CASE("all-to-all is point to point, LL while blocks are small", "[unit]") {
    const Tuner t(Version::k2_18, h100());
    CHECK(chosen(t, C::kAllToAll, 128_KiB) == "direct/LL");
    CHECK(chosen(t, C::kAllToAll, 256_KiB) == "direct/Simple");
    CHECK(t.choose(C::kAllToAll, 1_GiB).channels == 32);
}

TEST_CASE("every machine has a choice for every collective and size", "[property]") {
    for (const Version v : {Version::k2_18, Version::k2_30})
        for (const std::int64_t hosts : {1, 2, 3, 64, 4096})
            for (const std::int64_t ranks : {1, 2, 3, 8, 72})
                for (const std::int64_t nics : {0, 1, 8})
                    for (const GpuGeneration g : {GpuGeneration::kVolta, GpuGeneration::kBlackwell})
                        for (const C kind : {C::kAllReduce, C::kAllGather, C::kBroadcast,
                                             C::kAllToAll, C::kSendRecv})
                            for (int log = 0; log <= 40; log += 8) {
                                Machine m = h100(hosts);
                                m.generation = g;
                                m.ranks_per_host = ranks;
                                m.nics = nics;
                                const Tuner t(v, m);
                                const Candidate c = t.choose(kind, power(log));
                                CHECK(c.channels >= 1);
                                CHECK(c.predicted >= c.latency);
                                CHECK(Tuner::cut(kind, c).chunk >= Tuner::cut(kind, c).slice);
                            }
}

TEST_CASE("the line is NCCL's own", "[unit]") {
    const Tuner t(Version::k2_30, h100());
    CHECK(nccl::log_line(C::kAllReduce, 8_MiB, t.choose(C::kAllReduce, 8_MiB)) ==
          "AllReduce: 8388608 Bytes -> Algo NVLS proto SIMPLE channel{Lo..Hi}={0..15}");
    CHECK(nccl::parse_version("nccl-2.18") == Version::k2_18);
    CHECK_FALSE(nccl::parse_version("nccl-static").has_value());
}
