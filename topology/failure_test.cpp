#include "topology/failure.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/failures.hpp"

using namespace weft;

namespace {

Fabric hpn() {
    return make_fabric("hpn7", {{"segments", "1"}, {"hosts_per_segment", "2"}});
}

SimTime at(SimDuration d) {
    return SimTime{} + d;
}

std::string error_of(const std::string& text) {
    try {
        static_cast<void>(parse_failure(hpn(), text));
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "none";
}

using Catch::Matchers::Contains;

constexpr const char* kLink = "host[0].nic[0]:0 > tor[0]";

}  // namespace

TEST_CASE("a line of text says what fails, when and how", "[unit]") {
    const Fabric f = hpn();
    const LinkId link = f.find_link(kLink);
    REQUIRE(link.valid());
    const auto read = [&](const std::string& text) { return parse_failure(f, text, us(7)); };

    Failure down = link_down(link, at(ms(2)), us(7));
    CHECK(read("host[0].nic[0]:0 > tor[0]@2ms") == down);  // no kind: down
    CHECK(read("down host[0].nic[0]:0>tor[0] @ 2ms") == down);
    down.until = at(ms(7));
    CHECK(read("down host[0].nic[0]:0 > tor[0] for 5ms @2ms") == down);
    CHECK(read("down host[0].nic[0]:0 > tor[0] @2ms until 7ms") == down);
    down.one_way = true;
    down.convergence = ms(1);
    CHECK(read("down host[0].nic[0]:0 > tor[0] one-way @2ms for 5ms convergence 1ms") == down);

    CHECK(read("plane:1@2ms").target.plane == 1);
    CHECK(f.name_of(read("up tor[0] @1ms").target.node) == "tor[0]");
    CHECK(read("degraded plane 0 rate 100Gbps").rate == 100_Gbps);
    const Failure flap = read("flap tor[0] every 1ms off 200us @1ms for 10ms");
    CHECK(flap.kind == FailureKind::kFlap);
    CHECK(flap.every == ms(1));
    CHECK(flap.off == us(200));
    CHECK(read("loss host[0].nic[0] share 0.01%").share == 100'000);
    CHECK(read("corrupt host[0].nic[0] share 2%").kind == FailureKind::kCorrupt);
    CHECK(read("delay plane 1 extra 5us").extra == us(5));
    CHECK(read("stuck host[0].nic[0] @1ms for 3ms").until == at(ms(4)));
}

TEST_CASE("a failure prints as the text it is read from", "[property]") {
    const Fabric f = hpn();
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        RandomStream r(seed, 0, "failure");
        const auto some = [&] { return ps(static_cast<std::int64_t>(1 + r.below(1'000'000'000))); };
        Failure x;
        x.kind = static_cast<FailureKind>(r.below(8));
        if (r.below(3) != 0)
            x.target.link = LinkId{r.below(f.links().size())};
        else if (x.kind == FailureKind::kStuck || r.below(2) == 0)
            x.target.node = f.nics()[r.below(f.nics().size())].node;
        else
            x.target.plane = static_cast<std::int32_t>(r.below(2));
        x.one_way = x.target.link.valid() && r.below(2) == 0;
        x.at = at(some());
        x.convergence = r.below(2) == 0 ? some() : SimDuration{};
        if (x.kind != FailureKind::kUp && r.below(2) == 0) x.until = x.at + some();
        if (x.kind == FailureKind::kDegraded)
            x.rate = Bandwidth{static_cast<std::int64_t>(1 + r.below(1'000'000'000))};
        if (x.kind == FailureKind::kFlap) {
            x.off = some();
            x.every = x.off + some();
            x.until = x.at + x.every * 20;
        }
        if (x.kind == FailureKind::kLoss || x.kind == FailureKind::kCorrupt)
            x.share = static_cast<std::int64_t>(1 + r.below(1'000'000'000));
        if (x.kind == FailureKind::kDelay) x.extra = some();
        INFO(to_string(f, x));
        REQUIRE(parse_failure(f, to_string(f, x)) == x);
    }
}

TEST_CASE("a failure that makes no sense is refused by name", "[unit]") {
    CHECK_THAT(error_of("down tor[99] @2ms"), Contains("found \"tor[99]"));
    CHECK_THAT(error_of("donw tor[0] @2ms"), Contains("found \"donw tor[0]"));
    CHECK_THAT(error_of(""), Contains("expected a kind"));
    CHECK_THAT(error_of("down @2ms"), Contains("no target"));
    CHECK_THAT(error_of("down tor[0] @2"), Contains("@: found \"2"));
    CHECK_THAT(error_of("down tor[0] @2ms @3ms"), Contains("@: found \"twice"));
    CHECK_THAT(error_of("down tor[0] @2ms for"), Contains("for: found \"nothing"));
    CHECK_THAT(error_of("down tor[0] @2ms until 1ms"), Contains("until"));
    CHECK_THAT(error_of("down tor[0] @2ms for 1ms until 9ms"), Contains("one of them"));
    CHECK_THAT(error_of("down tor[0] @2ms share 1%"), Contains("share: found \"down"));
    CHECK_THAT(error_of("down tor[0] one-way"), Contains("one-way"));
    CHECK_THAT(error_of("down host[0].gpu[0]"), Contains("a packet switch, a NIC"));
    CHECK_THAT(error_of("down plane 7"), Contains("plane 7"));
    CHECK_THAT(error_of("down tor[0] @90000s"), Contains("within a day"));
    CHECK_THAT(error_of("up tor[0] for 1ms"), Contains("up: found \"an end"));
    CHECK_THAT(error_of("degraded tor[0]"), Contains("rate"));
    CHECK_THAT(error_of("degraded tor[0] rate 900Gbps"), Contains("at most what the link has"));
    CHECK_THAT(error_of("flap tor[0] every 1ms off 2ms for 9ms"), Contains("every, off"));
    CHECK_THAT(error_of("flap tor[0] every 1ms off 20us"), Contains("no end"));
    CHECK_THAT(error_of("flap tor[0] every 1ns off 1ps for 1s"),
               Contains("more than 1000 changes"));
    CHECK_THAT(error_of("loss tor[0] share 0%"), Contains("share"));
    CHECK_THAT(error_of("delay tor[0] extra 2s"), Contains("extra"));
    CHECK_THAT(error_of("stuck plane 0"), Contains("stuck"));
}

TEST_CASE("a file of failures names file, line and key where it is wrong", "[unit]") {
    const Fabric f = hpn();
    const std::vector<Failure> all = read_failures(f,
                                                   "convergence: 5ms\nfailures:\n"
                                                   "  - down host[0].nic[0]:0 > tor[0] @2ms\n"
                                                   "  - loss tor[0] share 1% convergence 0\n",
                                                   "f.yaml");
    REQUIRE(all.size() == 2);
    CHECK(all[0] == link_down(f.find_link(kLink), at(ms(2)), ms(5)));
    CHECK(all[1].convergence == SimDuration{});
    const auto error = [&](const std::string& text) -> std::string {
        try {
            static_cast<void>(read_failures(f, text, "f.yaml"));
        } catch (const ConfigError& e) {
            return e.what();
        }
        return "none";
    };
    CHECK_THAT(error("failures:\n  - down tor[0] @1ms\n  - down tor[0] @1\n"),
               Contains("f.yaml:3: failures[1].@: found \"1"));
    CHECK_THAT(error("failures:\n  - [down]\n"), Contains("f.yaml:2: failures[0]"));
    CHECK_THAT(error("failures: no\n"), Contains("f.yaml:1: failures"));
    CHECK_THAT(error("failure: []\n"), Contains("failures"));
    CHECK_THAT(error("failures: []\nmore: 1\n"), Contains("more"));
}

TEST_CASE("failures strike the links of their target", "[unit]") {
    const Fabric f = hpn();
    const auto links = [&](const char* text) { return links_of(f, parse_failure(f, text)); };
    const LinkId link = f.find_link(kLink);
    CHECK(links("down host[0].nic[0]:0 > tor[0]") == std::vector{link, reverse(link)});
    CHECK(links("down host[0].nic[0]:0 > tor[0] one-way") == std::vector{link});
    CHECK(links("stuck host[0].nic[0]:0 > tor[0]") == std::vector{link});
    const NodeId tor = f.link(link).to;
    CHECK(links("down tor[0]").size() == 2 * f.out(tor).size());
    for (const LinkId l : links("stuck tor[0]")) CHECK(f.link(l).to == tor);
    for (const LinkId l : links("down plane 1")) CHECK(f.link(l).plane == 1);
    std::size_t of_plane = 0;
    for (const Link& l : f.links())
        of_plane += l.plane == 1 && (l.kind == LinkKind::kAccess || l.kind == LinkKind::kFabric);
    CHECK(links("down plane 1").size() == of_plane);
    CHECK(of_plane > 0);
}

TEST_CASE("of what is in force the last begun counts, and `up` ends it all", "[unit]") {
    const Fabric f = hpn();
    const LinkId link = f.find_link(kLink);
    const auto rate = [&](const std::vector<std::string>& lines, SimDuration now,
                          SeenBy seen = SeenBy::kPackets) {
        std::vector<Failure> all;
        for (const std::string& l : lines) all.push_back(parse_failure(f, l, us(100)));
        return health_at(f, all, at(now), seen).rate(link);
    };
    const std::string l = kLink;
    const Bandwidth whole = f.link(link).capacity;
    const std::vector<std::string> nested{"down plane 0 @2ms for 3ms",
                                          "down " + l + " @1ms for 9ms"};
    CHECK(rate(nested, us(999)) == whole);
    CHECK(rate(nested, ms(1)) == Bandwidth{});
    CHECK(rate(nested, ms(6)) == Bandwidth{});
    CHECK(rate(nested, ms(10)) == whole);
    // Routing is so much later.
    CHECK(rate(nested, ms(1), SeenBy::kRouting) == whole);
    CHECK(rate(nested, us(1100), SeenBy::kRouting) == Bandwidth{});
    CHECK(rate(nested, us(10'099), SeenBy::kRouting) == Bandwidth{});
    CHECK(rate(nested, us(10'100), SeenBy::kRouting) == whole);

    const std::vector<std::string> slow{"degraded " + l + " rate 50Gbps @1ms",
                                        "degraded " + l + " rate 90Gbps @2ms for 1ms",
                                        "up " + l + " @4ms"};
    CHECK(rate(slow, ms(1)) == 50_Gbps);
    CHECK(rate(slow, ms(2)) == 90_Gbps);
    CHECK(rate(slow, ms(3)) == 50_Gbps);
    CHECK(rate(slow, ms(4)) == whole);

    const std::vector<std::string> flap{"flap " + l + " every 100us off 30us @1ms for 250us"};
    for (int u = 990; u < 1300; ++u) {
        const bool off = u >= 1000 && u < 1250 && (u - 1000) % 100 < 30;
        REQUIRE((rate(flap, us(u)) == Bandwidth{}) == off);
    }
    // A change is where something changes, and nowhere else.
    std::vector<SimTime> expected{SimTime{}};
    for (const int u : {1000, 1030, 1100, 1130, 1200, 1230, 1250}) expected.push_back(at(us(u)));
    CHECK(change_times({parse_failure(f, flap[0])}) == expected);
}

TEST_CASE("routing takes a cable with one dead direction for dead", "[unit]") {
    const Fabric f = hpn();
    const LinkId link = f.find_link(kLink);
    const std::vector<Failure> one{parse_failure(f, std::string(kLink) + " one-way @1ms")};
    CHECK(!health_at(f, one, at(ms(1)), SeenBy::kPackets).up(link));
    CHECK(health_at(f, one, at(ms(1)), SeenBy::kPackets).up(reverse(link)));
    CHECK(!health_at(f, one, at(ms(1)), SeenBy::kRouting).up(link));
    CHECK(!health_at(f, one, at(ms(1)), SeenBy::kRouting).up(reverse(link)));
}

TEST_CASE("troubles of one link add up while they last", "[unit]") {
    const Fabric f = hpn();
    const LinkId link = f.find_link(kLink);
    const std::vector<Failure> all{
        parse_failure(f, "loss plane 0 share 1% @1ms"),
        parse_failure(f, std::string("loss ") + kLink + " share 0.5% one-way @2ms for 1ms"),
        parse_failure(f, "delay plane 0 extra 3us"), parse_failure(f, "stuck tor[0] @2ms")};
    const auto of = [&](SimDuration now, LinkId l) {
        for (const auto& [id, t] : troubles_at(f, all, at(now)))
            if (id == l) return t;
        return LinkTrouble{};
    };
    CHECK(of(us(0), link) == LinkTrouble{0, 0, us(3), false});
    CHECK(of(ms(1), link) == LinkTrouble{10'000'000, 0, us(3), false});
    CHECK(of(ms(2), link) == LinkTrouble{15'000'000, 0, us(3), true});
    CHECK(of(ms(2), reverse(link)) == LinkTrouble{10'000'000, 0, us(3), false});
    CHECK(of(ms(3), link) == LinkTrouble{10'000'000, 0, us(3), true});
}
