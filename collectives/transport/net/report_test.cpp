// What ranks tell `weft doctor`: as bytes, at their doors, and who gets an answer.
#include "collectives/transport/net/report.hpp"

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "collectives/transport/net/detail/test_world.hpp"
#include "collectives/transport/net/visit.hpp"

namespace {

using namespace weft::live;
using namespace weft::live::net;
using std::chrono::seconds;

OperationHead head_of(std::uint64_t operation) {
    OperationHead h;
    h.operation = operation;
    h.count = 1024;
    return h;
}

RankReport full_report() {
    RankReport r{.version = "0.1.0", .job = 0xfeed, .rank = 1, .ranks = 3, .age_ms = 77};
    r.homes = {{"a", 11, true}, {"a", 12, true}, {"b", 13, false}};
    RankReport::Group g{.context = 4, .members = {{0, 1}, {2, 1}}, .newest = 9, .finished = 8};
    g.under_way.push_back({.head = head_of(9), .begun_ms = 5000, .still_ms = 4000});
    g.waits_for = "nothing came";
    g.attended = false;
    g.broken = "no";
    g.absent.push_back({.rank = 2,
                        .why = Absent::Why::kElsewhere,
                        .head = head_of(3),
                        .seconds = 1.234,
                        .where = "lane 1"});
    r.groups.push_back(g);
    r.lanes.push_back({.peer = 2, .lane = 1, .rail = 0, .plane = -1, .up = false, .rate = 7});
    r.gone.push_back({.rank = 0, .left = false, .what = "its process is gone"});
    r.silent.push_back({.rank = 2, .ms = 1500});
    return r;
}

std::vector<DoorName> doors_of(std::uint64_t job) {
    std::vector<DoorName> doors = find_doors();
    std::erase_if(doors, [&](const DoorName& d) { return d.job != job; });
    return doors;
}

TEST_CASE("a report means the same after its way", "[unit]") {
    const RankReport report = full_report();
    const auto back = parse_report(encode(report));
    REQUIRE(back);
    CHECK(*back == report);
}

TEST_CASE("bytes that are no report are refused", "[unit]") {
    const std::vector<std::byte> good = encode(full_report());
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_FALSE(parse_report(ByteSpan(good).first(size)));
    std::vector<std::byte> longer = good;
    longer.push_back(std::byte{0});
    CHECK_FALSE(parse_report(longer));
    RankReport outside = full_report();
    outside.silent[0].rank = 3;
    CHECK_FALSE(parse_report(encode(outside)));
    outside = full_report();
    outside.groups[0].members[1].count = 2;
    CHECK_FALSE(parse_report(encode(outside)));
}

TEST_CASE("doors are told from other sockets by their names", "[unit]") {
    const DoorName door{.job = 0x1f, .rank = 12, .random = 0xabc};
    const std::string name = to_text(door);
    CHECK(name == "weft-doctor-000000000000001f-12-00000abc");
    CHECK(parse_door_name(name) == door);
    for (const char* other :
         {"", "weft-doctor-", "weft-doctor-1f-12-abc", "weft-00ff",
          "weft-doctor-000000000000001f-12-00000abcd", "weft-doctor-000000000000001f--1-00000abc"})
        CHECK_FALSE(parse_door_name(other));
    const std::string head = "0000000000000000: 00000002 00000000 ";
    const std::string table = "Num RefCount Protocol Flags Type St Inode Path\n" + head +
                              "00010000 0001 01 7 @" + name + "\n" + head + "00000000 0001 03 8 @" +
                              name + "\n" + head + "00010000 0001 01 9 @something\n" + head +
                              "00010000 0001 01 9 /run/" + name;
    CHECK(doors_in(table) == std::vector<DoorName>{door});
}

TEST_CASE("whoever knocks learns where each rank stands", "[unit]") {
    TestWorld world(3);
    REQUIRE(world.met());
    world[0].began(head_of(1));
    world[0].waits_for(0, "nothing came");
    world[1].began(head_of(1));
    world[1].finished(0, 1);
    std::atomic<bool> asked{false};
    world[1].on_report([&](RankReport& r) {
        r.lanes.push_back({.peer = 2});
        return asked.exchange(true);  // the first time it is busy
    });
    const std::uint64_t job = [&] {
        for (const DoorName& d : find_doors())
            for (const Visit& v : visit({d}, Clock::now() + seconds(20)))
                if (v.process == ::getpid()) return d.job;
        return std::uint64_t{0};
    }();
    const std::vector<Visit> visits = visit(doors_of(job), Clock::now() + seconds(20));
    REQUIRE(visits.size() == 3);
    for (std::uint32_t r = 0; r < 3; ++r) {
        INFO(visits[r].why);
        REQUIRE(visits[r].report);
        CHECK(visits[r].report->rank == r);
        CHECK(visits[r].report->homes.size() == 3);
        CHECK(visits[r].process == ::getpid());
    }
    REQUIRE(visits[0].report->groups.size() == 1);
    CHECK(visits[0].report->groups[0].under_way.size() == 1);
    CHECK(visits[0].report->groups[0].waits_for == "nothing came");
    CHECK(visits[1].report->groups[0].finished == 1);
    CHECK(visits[1].report->groups[0].under_way.empty());
    CHECK(asked);
    CHECK(visits[1].report->lanes.size() == 1);
    CHECK(visits[2].report->groups.empty());
    world[1].on_report({});
}

TEST_CASE("another user gets no answer", "[unit]") {
    if (::geteuid() != 0) return;  // nobody else can be played
    TestWorld world(1);
    REQUIRE(world.met());
    const pid_t child = ::fork();
    if (child == 0) {
        const bool changed = ::setgid(65534) == 0 && ::setuid(65534) == 0;
        bool told = false;
        for (const Visit& v : visit(find_doors(), Clock::now() + seconds(5)))
            told = told || v.report;
        ::_exit(changed && !told ? 0 : 1);
    }
    int status = 1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a rank that wants no doctor has no door", "[unit]") {
    TestWorld world(1, [](NetOptions& o) { o.doctor = false; });
    REQUIRE(world.met());
    for (const Visit& v : visit(find_doors(), Clock::now() + seconds(20)))
        CHECK(v.process != ::getpid());
}

}  // namespace
