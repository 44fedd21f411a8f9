#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <unistd.h>

#include "collectives/transport/net/net_control.hpp"

namespace {

using namespace weft::live;
using std::chrono::seconds;
using weft::Outcome;
using weft::Status;

TEST_CASE("a unique id survives its text", "[unit]") {
    const UniqueId id = unique_id_in_directory("/scratch/weft test").value();
    CHECK(parse_unique_id(to_text(id)) == id);
    CHECK(to_text(id).find(' ') == std::string::npos);
}

TEST_CASE("ranks meet at a TCP store and dial each other", "[unit]") {
    const std::uint32_t n = GENERATE(1U, 2U, 7U);
    auto store = std::move(StoreServer::start({}).value());
    std::vector<std::unique_ptr<NetControl>> ranks;
    for (std::uint32_t r = 0; r < n; ++r) {
        ranks.push_back(std::move(NetControl::start(store->id(), {.rank = r, .ranks = n}).value()));
        ranks[r]->publish("x", {std::byte(r)});
    }
    std::atomic<int> taken{0};
    for (auto& c : ranks)
        c->on_connection(Purpose::kTcpLane, [&](Connection got) {
            CHECK(got.tag == 17);
            ++taken;
            ::close(got.fd);
        });
    std::vector<std::thread> threads;
    std::vector<std::string> errors(n);
    for (std::uint32_t r = 0; r < n; ++r)
        threads.emplace_back([&, r] {
            const Status s = ranks[r]->meet(Clock::now() + seconds(10));
            if (!s) errors[r] = to_string(s.error());
        });
    for (auto& t : threads) t.join();
    for (const auto& e : errors) CHECK(e == "");
    for (std::uint32_t r = 0; r < n; ++r) {
        REQUIRE(ranks[0]->card(r, "x").size() == 1);
        for (const int port : {-1, 0}) {
            auto c =
                ranks[0]->dial(r, Purpose::kTcpLane, 17, port, port, Clock::now() + seconds(5));
            if (!c) FAIL(to_string(c.error()));
            ::close(c.value().fd);
        }
    }
    CHECK(taken == static_cast<int>(2 * n));
}

}  // namespace
