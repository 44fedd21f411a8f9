#include <atomic>
#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "collectives/transport/net/detail/test_world.hpp"

namespace {

using namespace weft::live;
using net::eventually;
using net::TestWorld;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a unique id survives its text", "[unit]") {
    const UniqueId id = unique_id_in_directory("/scratch/weft test").value();
    CHECK(parse_unique_id(to_text(id)) == id);
    CHECK(to_text(id).find(' ') == std::string::npos);
    CHECK(parse_unique_id(to_text(unique_id_without_store())) != id);
}

TEST_CASE("text that is no unique id is refused", "[unit]") {
    const std::string good = to_text(unique_id_in_directory("/scratch").value());
    for (const std::string& bad :
         {std::string(), std::string("weft-"), std::string("weft-!!"), good.substr(5),
          good.substr(0, good.size() - 3), good + "BAAA", good + std::string(300, 'A')})
        CHECK_THROWS_AS(parse_unique_id(bad), weft::ConfigError);
    std::string changed = good;
    changed[20] = changed[20] == 'A' ? 'B' : 'A';
    CHECK_THROWS_AS(parse_unique_id(changed), weft::ConfigError);
    UniqueId zero;
    CHECK_FALSE(NetControl::start(zero, {}).ok());
    CHECK_FALSE(open_store(unique_id_without_store()).ok());
    CHECK_FALSE(unique_id_in_directory("relative").ok());
}

TEST_CASE("ranks that have met reach each other by both kinds of socket", "[unit]") {
    const std::uint32_t n = GENERATE(1U, 2U, 7U);
    TestWorld world(n);
    REQUIRE(world.errors == std::vector<std::string>(n));
    std::atomic<int> taken{0};
    std::atomic<int> right{0};
    for (std::uint32_t r = 0; r < n; ++r)
        world[r].on_connection(Purpose::kTcpLane, [&, r](Connection c) {
            if (c.tag == 17 && c.peer == 0 && c.purpose == Purpose::kTcpLane) ++right;
            const auto byte = static_cast<char>(c.key[5]);
            if (::write(c.fd, &byte, 1) == 1) ++taken;
            ::close(c.fd);
        });
    for (std::uint32_t r = 0; r < n; ++r) {
        CHECK(world[0].same_host(r));
        CHECK(world[0].ports(r).size() == 1);
        for (const int port : {-1, 0}) {
            auto c =
                world[0].dial(r, Purpose::kTcpLane, 17, port, port, Clock::now() + seconds(20));
            if (!c) FAIL(to_string(c.error()));
            char byte = 0;
            CHECK(eventually([&] { return ::read(c.value().fd, &byte, 1) == 1; }));
            CHECK(byte == static_cast<char>(c.value().key[5]));  // both sides have one key
            ::close(c.value().fd);
        }
        CHECK_FALSE(world[0].dial(r, Purpose::kTcpLane, 0, 1, 0, Clock::now() + seconds(20)).ok());
    }
    CHECK(eventually([&] { return taken == static_cast<int>(2 * n) && right == taken; }));
}

TEST_CASE("cards are what the peer published", "[unit]") {
    const auto store = std::move(StoreServer::start({}).value());
    std::unique_ptr<NetControl> ranks[2];
    for (std::uint32_t r : {0U, 1U}) {
        ranks[r] = std::move(
            NetControl::start(store->id(), {.rank = r, .ranks = 2, .host = r == 0 ? "a" : "b"})
                .value());
        ranks[r]->publish("shm", {std::byte(40 + r), std::byte{1}});
    }
    std::thread other([&] { static_cast<void>(ranks[1]->meet(Clock::now() + seconds(20))); });
    CHECK(ranks[0]->meet(Clock::now() + seconds(20)).ok());
    other.join();
    REQUIRE(ranks[0]->card(1, "shm").size() == 2);
    CHECK(ranks[0]->card(1, "shm")[0] == std::byte{41});
    CHECK(ranks[1]->card(0, "shm")[0] == std::byte{40});
    CHECK(ranks[0]->card(1, "tcp").empty());
    CHECK_FALSE(ranks[0]->same_host(1));
    CHECK(ranks[0]->same_host(0));
    CHECK_FALSE(ranks[0]->dial(1, Purpose::kShm, 0, -1, -1, Clock::now() + seconds(5)).ok());
    for (auto& r : ranks) r->leave();
}

TEST_CASE("64 ranks meet", "[unit]") {
    TestWorld world(64);
    CHECK(world.errors == std::vector<std::string>(64));
    world[63].raise({.kind = Alarm::Kind::kRevoked, .rank = 63});
    CHECK(eventually([&] { return world.all_know(Alarm::Kind::kRevoked, 63); }));
}

TEST_CASE("what ranks disagree about is named with both values, at all ranks", "[unit]") {
    const int what = GENERATE(0, 1, 2, 3);
    const auto start = Clock::now();
    TestWorld world(
        4,
        [&](NetOptions& o) {
            o.environment = {{"WEFT_CHANNELS", "4"}, {"WEFT_ALGO", "ring"}};
            if (o.rank != 2) return;
            if (what == 0) o.environment[1].second = "tree";
            if (what == 1) o.environment.pop_back();
            if (what == 2) o.version = "0.0.7";
            if (what == 3) o.ranks = 5;
        },
        seconds(60));
    CHECK(Clock::now() - start < seconds(30));
    const std::vector<std::string> words[] = {{"rank 2", "WEFT_ALGO=ring", "WEFT_ALGO=tree"},
                                              {"rank 2", "WEFT_ALGO=ring", "WEFT_ALGO unset"},
                                              {"rank 2", "runs weft 0.0.7", "protocol"},
                                              {"rank 2", "believes in", " 4", " 5"}};
    for (const std::string& e : world.errors)
        for (const std::string& word : words[what]) CHECK_THAT(e, Catch::Contains(word));
}

TEST_CASE("a rank that is not there is named", "[unit]") {
    TestWorld world(
        4,
        [](NetOptions& o) { o.ports = {{.address = o.rank == 3 ? "203.0.113.9" : "127.0.0.1"}}; },
        milliseconds(1'500));
    CHECK_THAT(world.errors[3], Catch::Contains("cannot listen on 203.0.113.9"));
    for (int r : {0, 1, 2}) CHECK_THAT(world.errors[r], Catch::Contains("not arrived: rank 3"));
}

TEST_CASE("nobody listens at a dead rank, and dialling it ends in time", "[unit]") {
    TestWorld world(2);
    REQUIRE(world.met());
    world.ranks[1].reset();
    for (const int port : {-1, 0}) {
        const auto c =
            world[0].dial(1, Purpose::kTcpLane, 0, port, port, Clock::now() + seconds(20));
        REQUIRE_FALSE(c.ok());
        CHECK_THAT(c.error().what, Catch::Contains("refused"));
        CHECK(c.error().peer == 1);
    }
}

TEST_CASE("a child of fork ends nothing of its parent's", "[unit]") {
    TestWorld world(3);
    REQUIRE(world.met());
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (auto& r : world.ranks) r.reset();
        world.store.reset();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    std::this_thread::sleep_for(milliseconds(300));
    world[0].raise({.kind = Alarm::Kind::kRevoked, .rank = 0});
    CHECK(eventually([&] { return world.all_know(Alarm::Kind::kRevoked, 0); }));
    CHECK(world[1].alarms() == 1);
}

}  // namespace
