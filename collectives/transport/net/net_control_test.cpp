// Alarms, inquiries, silence and death between the ranks of one process.
#include "collectives/transport/net/net_control.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectives/transport/net/detail/test_world.hpp"

namespace {

using namespace weft::live;
using net::eventually;
using net::TestWorld;
using std::chrono::milliseconds;
using std::chrono::seconds;

OperationHead head_of(std::uint64_t operation, std::uint64_t plan = 7, ContextId context = 0) {
    OperationHead h;
    h.operation = operation;
    h.plan_hash = plan;
    h.count = 1024;
    h.context = context;
    return h;
}

// Each rank on a host of its own, over two planes of the loopback network.
void two_planes(NetOptions& options) {
    options.host = "host " + std::to_string(options.rank);
    options.ports = {{.interface = "lo", .address = "127.0.0.1", .plane = 0},
                     {.interface = "lo", .address = "127.0.0.2", .plane = 1}};
}

TEST_CASE("an alarm reaches every rank, adjacent or not", "[unit]") {
    TestWorld world(16, GENERATE(TestWorld::Tweak{}, TestWorld::Tweak{two_planes}));
    REQUIRE(world.met());
    std::atomic<int> woken{0};
    world[9].on_alarm([&] { ++woken; });
    const auto before = world[9].alarms();
    const auto start = Clock::now();
    world[3].raise({.kind = Alarm::Kind::kAborted, .context = 5, .rank = 3, .what = "enough"});
    REQUIRE(eventually([&] { return world.all_know(Alarm::Kind::kAborted, 3, 5); }));
    const auto took = Clock::now() - start;
    CHECK(took < seconds(5));
    CHECK(world.alarm(12, 5)->what == "enough");
    CHECK(world.alarm(3, 5)->what == "enough");
    CHECK(world[9].alarms() > before);
    CHECK(eventually([&] { return woken > 0; }));
    CHECK_FALSE(world.alarm(12, 6));
    const std::uint32_t others[] = {1, 2};
    CHECK_FALSE(world[12].alarm(5, others));
    world[9].on_alarm({});
}

TEST_CASE("the first alarm of a communicator counts", "[unit]") {
    TestWorld world(4);
    REQUIRE(world.met());
    world[1].raise({.kind = Alarm::Kind::kAborted, .context = 1, .rank = 1, .what = "first"});
    REQUIRE(eventually([&] { return world.all_know(Alarm::Kind::kAborted, 1, 1); }));
    world[2].raise({.kind = Alarm::Kind::kRevoked, .context = 1, .rank = 2, .what = "second"});
    world[2].raise({.kind = Alarm::Kind::kRevoked, .context = 2, .rank = 2, .what = "third"});
    REQUIRE(eventually([&] { return world.all_know(Alarm::Kind::kRevoked, 2, 2); }));
    for (std::uint32_t r = 0; r < 4; ++r) CHECK(world.alarm(r, 1)->what == "first");
}

TEST_CASE("a rank that goes without a farewell is lost to all", "[unit]") {
    TestWorld world(7, GENERATE(TestWorld::Tweak{}, TestWorld::Tweak{two_planes}));
    REQUIRE(world.met());
    world.ranks[4].reset();
    REQUIRE(eventually([&] { return world.all_know(Alarm::Kind::kRankLost, 4); }));
    CHECK_THAT(world.alarm(0)->what, Catch::Contains("its process is gone"));
    // It stays the only one.
    std::this_thread::sleep_for(milliseconds(300));
    for (std::uint32_t r = 0; r < 7; ++r)
        if (r != 4) CHECK(world[r].alarms() == 1);
    const auto a = world.absent(0, head_of(1), 4, Absent::Why::kDead);
    REQUIRE(a);
    CHECK(a->why == Absent::Why::kDead);
}

TEST_CASE("a rank that leaves is no alarm, and absent from what it had not begun", "[unit]") {
    TestWorld world(5);
    REQUIRE(world.met());
    world[2].began(head_of(1));
    world[2].finished(0, 1);
    world[2].leave();
    world.ranks[2].reset();
    for (std::uint32_t r : {0U, 1U, 3U, 4U}) world[r].began(head_of(1));
    world[0].began(head_of(2));
    const auto a = world.absent(0, head_of(2), 2, Absent::Why::kLeft);
    REQUIRE(a);
    CHECK(a->why == Absent::Why::kLeft);
    for (const Absent& other : world[0].absent(head_of(1), world.members)) CHECK(other.rank != 2);
    std::this_thread::sleep_for(milliseconds(300));
    for (std::uint32_t r : {0U, 1U, 3U, 4U}) CHECK(world[r].alarms() == 0);
}

TEST_CASE("alarms get through although most ranks between are dead", "[unit]") {
    TestWorld world(12);
    REQUIRE(world.met());
    // Of the neighbours of rank 0 only one is left, and that is no neighbour of rank 6.
    for (const std::uint32_t r : {1U, 2U, 4U, 8U, 10U, 5U, 7U, 3U, 9U}) world.ranks[r].reset();
    REQUIRE(eventually([&] {
        return world[0].alarms() == 9 && world[6].alarms() == 9 && world[11].alarms() == 9;
    }));
    const std::uint32_t living[] = {0, 6, 11};
    world[0].raise({.kind = Alarm::Kind::kRevoked, .context = 3, .rank = 0});
    CHECK(eventually([&] {
        const auto a = world[6].alarm(3, living);
        return a && a->kind == Alarm::Kind::kRevoked && a->rank == 0;
    }));
}

TEST_CASE("an inquiry finds who is late and who is elsewhere", "[unit]") {
    TestWorld world(6);
    REQUIRE(world.met());
    for (std::uint32_t r : {0U, 1U, 2U, 3U}) world[r].began(head_of(8));
    world[4].began(head_of(7));
    world[4].finished(0, 7);
    world[5].began(head_of(3, 9, 21));
    world[5].waits_for(21, "rank 2, stream 4");
    auto a = world.absent(0, head_of(8), 4, Absent::Why::kLate);
    REQUIRE(a);
    CHECK(a->why == Absent::Why::kLate);
    CHECK(a->head == head_of(7));
    a = world.absent(0, head_of(8), 5, Absent::Why::kElsewhere);
    REQUIRE(a);
    CHECK(a->why == Absent::Why::kElsewhere);
    CHECK(a->head == head_of(3, 9, 21));
    CHECK(a->where == "rank 2, stream 4");
    CHECK(world[0].absent(head_of(8), world.members).size() == 2);
    // Who begins is not absent any more.
    world[4].began(head_of(8));
    CHECK(eventually([&] {
        world[0].inquire(head_of(8), world.members);
        const auto all = world[0].absent(head_of(8), world.members);
        return all.size() == 1 && all[0].rank == 5;
    }));
    for (std::uint32_t r = 0; r < 6; ++r) CHECK(world[r].alarms() == 0);
}

TEST_CASE("a disagreement is found at once where both have begun", "[unit]") {
    TestWorld world(5);
    REQUIRE(world.met());
    for (std::uint32_t r : {0U, 1U, 3U, 4U}) world[r].began(head_of(8));
    world[2].began(head_of(8, 1234));
    world[2].finished(0, 8);
    world[0].inquire(head_of(8), world.members);
    REQUIRE(eventually([&] { return world.alarm(4) && world.alarm(2) && world.alarm(0); }));
    const Alarm a = *world.alarm(4);
    CHECK(a.kind == Alarm::Kind::kDisagreement);
    CHECK(a.rank == 2);
    CHECK(a.peer == 0);
    CHECK(a.ours == head_of(8, 1234));
    CHECK(a.theirs == head_of(8));
}

TEST_CASE("a disagreement is found when the late one begins", "[unit]") {
    TestWorld world(5);
    REQUIRE(world.met());
    world[1].began(head_of(8));
    const auto late = world.absent(1, head_of(8), 3, Absent::Why::kLate);
    REQUIRE(late);
    world[3].began(head_of(8, 99));
    REQUIRE(eventually([&] { return world.all_know(Alarm::Kind::kDisagreement, 3); }));
    CHECK(world.alarm(0)->peer == 1);
}

TEST_CASE("a stopped process is silent, not dead, and a killed one is dead", "[unit]") {
    // Rank 1 is another process: made before this one has threads.
    const auto id = unique_id_in_directory(WEFT_TEST_SCRATCH).value();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto one = NetControl::start(id, {.rank = 1, .ranks = 3});
        if (!one || !one.value()->meet(Clock::now() + seconds(30))) ::_exit(1);
        // A data loader that outlives the rank and holds its sockets.
        ::alarm(60);
        if (::fork() == 0) ::alarm(20);
        while (true) ::pause();
    }
    std::unique_ptr<NetControl> ranks[2];
    std::string errors[2];
    std::thread threads[2];
    for (int i : {0, 1}) {
        const std::uint32_t r = i == 0 ? 0 : 2;
        ranks[i] = std::move(NetControl::start(id, {.rank = r, .ranks = 3}).value());
        threads[i] = std::thread([&, i] {
            const auto met = ranks[i]->meet(Clock::now() + seconds(30));
            if (!met) errors[i] = to_string(met.error());
        });
    }
    for (auto& t : threads) t.join();
    REQUIRE(errors[0] == "");
    REQUIRE(errors[1] == "");
    const std::uint32_t members[] = {0, 1, 2};
    const OperationHead head = head_of(1);
    ranks[0]->began(head);
    const auto shows = [&](Absent::Why why) {
        return eventually([&] {
            ranks[0]->inquire(head, members);
            const auto all = ranks[0]->absent(head, members);
            return std::any_of(all.begin(), all.end(),
                               [&](const Absent& a) { return a.rank == 1 && a.why == why; });
        });
    };
    CHECK(shows(Absent::Why::kLate));
    ::kill(child, SIGSTOP);
    CHECK(shows(Absent::Why::kSilent));
    std::this_thread::sleep_for(milliseconds(500));
    CHECK(ranks[0]->alarms() == 0);
    ::kill(child, SIGCONT);
    CHECK(shows(Absent::Why::kLate));
    ::kill(child, SIGSTOP);
    CHECK(shows(Absent::Why::kSilent));
    ::kill(child, SIGKILL);
    CHECK(shows(Absent::Why::kDead));
    CHECK(eventually([&] { return ranks[1]->alarms() == 1; }));
    ::waitpid(child, nullptr, 0);
    for (auto& r : ranks) r->leave();
}

void nap() {
    std::this_thread::sleep_for(milliseconds(1));
}

TEST_CASE("those that live agree on who is left", "[unit]") {
    TestWorld world(6, GENERATE(TestWorld::Tweak{}, TestWorld::Tweak{two_planes}));
    REQUIRE(world.met());
    world.ranks[0].reset();  // it would have led
    world[4].leave();
    world.ranks[4].reset();
    std::vector<Survivors> left(6);
    std::vector<std::thread> threads;
    for (const std::uint32_t r : {1U, 2U, 3U, 5U})
        threads.emplace_back([&, r] {
            left[r] = world[r].survivors({.context = 3, .members = world.members},
                                         Clock::now() + seconds(20), nap);
        });
    for (auto& t : threads) t.join();
    for (const std::uint32_t r : {1U, 2U, 3U, 5U}) {
        CAPTURE(r, left[r].what);
        CHECK(left[r].state == Survivors::State::kAgreed);
        CHECK(left[r].ranks == std::vector<std::uint32_t>{1, 2, 3, 5});
    }
}

TEST_CASE("a member that does not come to the count is named", "[unit]") {
    TestWorld world(3);
    REQUIRE(world.met());
    Survivors left[2];
    std::thread other([&] {
        left[1] = world[1].survivors({.members = world.members}, Clock::now() + seconds(1), nap);
    });
    left[0] = world[0].survivors({.members = world.members}, Clock::now() + seconds(1), nap);
    other.join();
    for (const Survivors& l : left) {
        CHECK(l.state == Survivors::State::kOpen);
        CHECK_THAT(l.what, Catch::Contains("rank 2 has not called shrink"));
    }
    for (std::uint32_t r = 0; r < 3; ++r) CHECK(world[r].alarms() == 0);
}

TEST_CASE("a stopped process is counted out by a majority, and told when it goes on",
          "[integration]") {
    const auto id = unique_id_in_directory(WEFT_TEST_SCRATCH).value();
    int go[2];
    REQUIRE(::pipe(go) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    const std::vector<std::uint32_t> members{0, 1, 2, 3};
    if (child == 0) {
        ::alarm(60);
        auto one = NetControl::start(id, {.rank = 1, .ranks = 4});
        if (!one || !one.value()->meet(Clock::now() + seconds(30))) ::_exit(1);
        char c = 0;
        if (::read(go[0], &c, 1) != 1) ::_exit(2);
        const auto left =
            one.value()->survivors({.members = members}, Clock::now() + seconds(20), nap);
        const auto alarm = one.value()->alarm(9, members);
        if (!alarm || alarm->kind != Alarm::Kind::kCountedOut || alarm->rank != 1) ::_exit(3);
        ::_exit(left.state == Survivors::State::kCountedOut ? 7 : 4);
    }
    std::unique_ptr<NetControl> ranks[3];
    Survivors left[3];
    std::atomic<int> met{0};
    std::vector<std::thread> threads;
    for (int i : {0, 1, 2}) {
        const std::uint32_t r = i == 0 ? 0 : static_cast<std::uint32_t>(i + 1);
        ranks[i] = std::move(NetControl::start(id, {.rank = r, .ranks = 4}).value());
        threads.emplace_back([&, i] {
            if (!ranks[i]->meet(Clock::now() + seconds(30))) return;
            if (++met == 3) ::kill(child, SIGSTOP);
            while (met < 3) nap();
            left[i] = ranks[i]->survivors({.members = members}, Clock::now() + seconds(20), nap);
        });
    }
    for (auto& t : threads) t.join();
    for (const Survivors& l : left) {
        CAPTURE(l.what);
        CHECK(l.state == Survivors::State::kAgreed);
        CHECK(l.ranks == std::vector<std::uint32_t>{0, 2, 3});
    }
    ::kill(child, SIGCONT);
    CHECK(::write(go[1], "g", 1) == 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    ::close(go[0]);
    ::close(go[1]);
    for (auto& r : ranks) r->leave();
}

}  // namespace
