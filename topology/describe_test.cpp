// The summary against the paper's table, and every family's against its golden line.
#include "topology/describe.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

/// Everything countable of a fabric in one line.
std::string line(const FabricSummary& s) {
    std::string out = fmt::format("{}: {} GPUs {} hosts {} NICs", s.name, s.gpus, s.hosts, s.nics);
    for (const TierSummary& t : s.tiers)
        out += fmt::format(" | {} {} down {} up {}", t.name, t.switches, t.ports_down, t.ports_up);
    return out + fmt::format(" | cables {} {} {} {} | bisection {}", s.cables[0], s.cables[1],
                             s.cables[2], s.cables[3], s.bisection.bits_per_second());
}

}  // namespace

TEST_CASE("HPN 7.0's summary has the paper's figures", "[unit]") {
    const FabricSummary s = summarize(make_fabric("hpn7"));
    CHECK(s.gpus == 15360);
    CHECK(s.gpus_per_segment == 1024);
    CHECK(s.segments == 15);
    CHECK(s.planes == 2);
    CHECK(s.rails == 8);
    CHECK(s.backup_hosts == 120);
    CHECK(s.nic_rate == 400_Gbps);
    REQUIRE(s.tiers.size() == 2);
    CHECK(s.tiers[0].switches == 240);
    CHECK(s.tiers[0].backup_down == 8);
    CHECK(oversubscription_milli(s.tiers[0], false) == 1067);
    CHECK(oversubscription_milli(s.tiers[0], true) == 1133);
    CHECK(s.tiers[1].switches == 120);
    CHECK(s.switch_capacity == Bandwidth{51'200'000'000'000});
    // 27.2T down and 24T up leave nothing of a ToR; an Agg keeps 8 x 400G for the core.
    CHECK(s.tiers[0].rate_down + s.tiers[0].rate_up == s.switch_capacity);
    CHECK(s.switch_capacity - s.tiers[1].rate_down == 3200_Gbps);
    const FabricSummary two = summarize(make_fabric_from_text("hpn7:pods=2,hosts_per_segment=8"));
    REQUIRE(two.tiers.size() == 3);
    CHECK(oversubscription_milli(two.tiers[1], false) == 15000);
}

TEST_CASE("the text prints both oversubscription figures and the assumptions", "[unit]") {
    const Fabric f = make_fabric("hpn7");
    const std::string text = to_text(f, summarize(f));
    CHECK_THAT(text, Catch::Contains("1.067:1 with the active hosts, 1.133:1 with backup hosts"));
    for (const std::string& a : f.assumptions()) CHECK_THAT(text, Catch::Contains(a));
}

TEST_CASE("a family's summary is its golden line", "[golden]") {
    const std::vector<std::string> golden = {
        "hpn7: 15360 GPUs 1920 hosts 15360 NICs | tor 240 down 136 up 60 | agg 120 down 120 up 0 "
        "| cables 16320 16320 32640 14400 | bisection 2892800000000000",
        "dcn+: 16384 GPUs 2048 hosts 16384 NICs | tor 256 down 128 up 64 | agg 256 down 64 up 64 "
        "| core 128 down 128 up 0 | cables 16384 16384 32768 32768 | bisection 3276800000000000",
        "rail2: 2048 GPUs 256 hosts 2048 NICs | tor 64 down 32 up 32 | agg 32 down 64 up 0 "
        "| cables 2048 2048 2048 2048 | bisection 409600000000000",
        "rail3: 4096 GPUs 512 hosts 4096 NICs | tor 128 down 32 up 32 | agg 128 down 32 up 32 "
        "| core 64 down 64 up 0 | cables 4096 4096 4096 8192 | bisection 819200000000000",
        "scale-up: 8 GPUs 1 hosts 0 NICs | cables 8 0 0 0 | bisection 0",
    };
    for (const std::string& expected : golden) {
        const std::string family = expected.substr(0, expected.find(':'));
        CHECK(line(summarize(make_fabric(family))) == expected);
    }
}
