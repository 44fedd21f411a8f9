// Meetings: who comes, who does not, and who should not have.
#include <arpa/inet.h>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <sys/socket.h>
#include <unistd.h>

#include "collectives/transport/net/detail/test_world.hpp"
#include "collectives/transport/net/socket.hpp"
#include "collectives/transport/net/unique_id.hpp"

namespace {

using namespace weft::live;
using net::TestWorld;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Blobs = std::vector<std::vector<std::byte>>;

struct Came {
    std::uint32_t rank;
    std::uint32_t ranks;
};

// Everybody at once; what each got, or why not.
std::vector<std::string> meet(const UniqueId& id, const std::vector<Came>& comers,
                              milliseconds patience) {
    std::vector<std::string> out(comers.size());
    std::vector<std::thread> threads;
    const auto deadline = Clock::now() + patience;
    for (std::size_t i = 0; i < comers.size(); ++i) {
        threads.emplace_back([&, i] {
            const Came c = comers[i];
            const std::vector<std::byte> mine(c.rank + 1, static_cast<std::byte>(c.rank));
            auto store = open_store(id);
            if (!store) {
                out[i] = store.error().what;
                return;
            }
            const auto got = store.value()->exchange(c.rank, c.ranks, mine, deadline);
            if (!got) {
                out[i] = got.error().what;
                return;
            }
            bool right = got.value().size() == c.ranks;
            for (std::size_t r = 0; right && r < c.ranks; ++r)
                right = got.value()[r] == std::vector<std::byte>(r + 1, static_cast<std::byte>(r));
            out[i] = right ? "good" : "wrong blobs";
        });
    }
    for (auto& t : threads) t.join();
    return out;
}

std::vector<Came> all(std::uint32_t n) {
    std::vector<Came> out;
    for (std::uint32_t r = 0; r < n; ++r) out.push_back({r, n});
    return out;
}

// A store of either kind, gone at the end.
struct AnyStore {
    explicit AnyStore(bool directory) {
        if (directory) {
            path = fmt::format("{}/s-{}-{}", WEFT_TEST_SCRATCH, ::getpid(),
                               Clock::now().time_since_epoch().count() % 1'000'000'000);
            std::filesystem::create_directory(path);
            id = unique_id_in_directory(path).value();
        } else {
            server = std::move(StoreServer::start({}).value());
            id = server->id();
        }
    }
    ~AnyStore() {
        if (!path.empty()) std::filesystem::remove_all(path);
    }
    std::unique_ptr<StoreServer> server;
    std::string path;
    UniqueId id;
};

TEST_CASE("all ranks get what all ranks brought", "[unit]") {
    const AnyStore store(GENERATE(false, true));
    const std::uint32_t n = GENERATE(1U, 2U, 7U, 64U);
    for (const std::string& got : meet(store.id, all(n), seconds(30))) CHECK(got == "good");
    if (!store.path.empty()) CHECK(std::filesystem::is_empty(store.path));
}

TEST_CASE("who has not arrived is named to all", "[unit]") {
    const AnyStore store(GENERATE(false, true));
    std::vector<Came> comers = all(7);
    comers.erase(comers.begin() + 5);
    comers.erase(comers.begin() + 2);
    for (const std::string& got : meet(store.id, comers, milliseconds(1'500)))
        CHECK_THAT(got, Catch::Contains("not arrived: rank 2, 5"));
}

TEST_CASE("a second rank of one number is told to all, at once", "[unit]") {
    const AnyStore store(GENERATE(false, true));
    const auto start = Clock::now();
    for (const std::string& got : meet(store.id, {{0, 4}, {1, 4}, {1, 4}}, seconds(60)))
        CHECK_THAT(got, Catch::Contains("rank 1 came twice"));
    CHECK(Clock::now() - start < seconds(30));
}

TEST_CASE("ranks that believe in other numbers of ranks are told so", "[unit]") {
    const AnyStore store(GENERATE(false, true));
    for (const std::string& got : meet(store.id, {{0, 4}, {1, 3}}, seconds(60)))
        CHECK_THAT(got, Catch::Contains("believes in 3") || Catch::Contains("in 3"));
}

TEST_CASE("a server that ends is an error at once", "[unit]") {
    AnyStore store(false);
    std::thread end([&] {
        std::this_thread::sleep_for(milliseconds(50));
        store.server.reset();
    });
    const auto start = Clock::now();
    const auto got = meet(store.id, {{0, 2}}, seconds(60));
    end.join();
    CHECK_THAT(got[0], Catch::Contains("the store is gone"));
    CHECK(Clock::now() - start < seconds(30));
    CHECK_THAT(meet(store.id, {{0, 2}}, seconds(60))[0], Catch::Contains("the store is gone"));
}

TEST_CASE("the store's port is closed when the meeting is over", "[unit]") {
    const AnyStore store(false);
    CHECK(meet(store.id, all(2), seconds(30))[0] == "good");
    CHECK_THAT(meet(store.id, {{0, 2}}, seconds(30))[0], Catch::Contains("the meeting is over"));
}

TEST_CASE("a rank that goes away ends the meeting of the others", "[unit]") {
    const AnyStore store(false);
    std::thread impatient([&] { static_cast<void>(meet(store.id, {{1, 3}}, milliseconds(300))); });
    const auto start = Clock::now();
    CHECK_THAT(meet(store.id, {{0, 3}}, seconds(60))[0],
               Catch::Contains("rank 1") && Catch::Contains("not arrived"));
    CHECK(Clock::now() - start < seconds(30));
    impatient.join();
}

TEST_CASE("another secret opens nothing", "[unit]") {
    const AnyStore store(false);
    auto parts = net::unpack(store.id).value();
    parts.secret[3] ^= std::byte{1};
    const auto got = meet(net::pack(parts), {{0, 2}}, milliseconds(300));
    CHECK(got[0] != "good");
    CHECK(meet(store.id, all(2), seconds(30))[1] == "good");
}

// Connects and behaves badly, `count` times; keeps up to 500 connections open.
void be_strange(std::uint16_t port, int count, const std::atomic<bool>& stop) {
    std::vector<net::Fd> open;
    const std::string garbage(200, 'x');
    const auto to = net::tcp_address("127.0.0.1", port).value();
    for (int i = 0; i < count && !stop; ++i) {
        net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!fd || ::connect(fd.get(), to.get(), to.size) != 0) continue;
        if (i % 3 == 1) ::send(fd.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
        if (i % 3 == 2) ::send(fd.get(), "weft", 4, MSG_NOSIGNAL);  // the magic word, and no more
        open.push_back(std::move(fd));
        if (open.size() > 500) open.erase(open.begin(), open.begin() + 250);
    }
}

TEST_CASE("strangers at the store do not keep the ranks from meeting", "[unit]") {
    const AnyStore store(false);
    std::atomic<bool> stop{false};
    std::thread strangers([&] { be_strange(net::unpack(store.id).value().port, 10'000, stop); });
    std::this_thread::sleep_for(milliseconds(20));
    for (const std::string& got : meet(store.id, all(8), seconds(30))) CHECK(got == "good");
    stop = true;
    strangers.join();
}

TEST_CASE("strangers at a rank's port neither join nor disturb", "[unit]") {
    TestWorld world(4);
    REQUIRE(world.met());
    std::atomic<int> taken{0};
    world[1].on_connection(Purpose::kTcpLane, [&](Connection c) {
        ++taken;
        ::close(c.fd);
    });
    // The port is on nobody's card but the ranks': found by asking a connection.
    auto c = world[0].dial(1, Purpose::kTcpLane, 0, 0, 0, Clock::now() + seconds(20));
    REQUIRE(c.ok());
    sockaddr_in at{};
    socklen_t size = sizeof at;
    ::getpeername(c.value().fd, reinterpret_cast<sockaddr*>(&at), &size);
    ::close(c.value().fd);
    std::atomic<bool> stop{false};
    std::thread strangers([&] { be_strange(ntohs(at.sin_port), 10'000, stop); });
    std::this_thread::sleep_for(milliseconds(20));
    int good = 0;
    for (int i = 0; i < 20; ++i) {
        auto one = world[2].dial(1, Purpose::kTcpLane, 0, 0, 0, Clock::now() + seconds(20));
        if (!one) continue;
        ++good;
        ::close(one.value().fd);
    }
    CHECK(good == 20);
    world[3].raise({.kind = Alarm::Kind::kRevoked, .rank = 3});
    CHECK(net::eventually([&] { return world.all_know(Alarm::Kind::kRevoked, 3); }));
    stop = true;
    strangers.join();
    CHECK(net::eventually([&] { return taken == 21; }));
}

}  // namespace
