// The conformance suite: what the runtime relies on, for every transport of the registry.
#include "collectives/transport/transport.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <fmt/format.h>
#include <functional>

#include "base/rng.hpp"
#include "collectives/transport/rank_threads.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;

Clock::time_point soon() {
    return Clock::now() + 20s;
}

/// One rank of a test: its endpoint and the completions that nobody has asked for yet.
struct Peer {
    explicit Peer(Transport& t, std::uint32_t rank) : endpoint(t.open(rank)) {}

    std::uint32_t own(std::vector<std::byte>& memory) { return endpoint->register_region(memory); }
    /// Waits for the next completion of a kind; nothing at the deadline or on a fault.
    std::optional<Completion> next(Completion::Kind kind, Clock::time_point until) {
        while (true) {
            for (std::size_t i = 0; i < pending.size(); ++i)
                if (pending[i].kind == kind) {
                    const Completion found = pending[i];
                    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
                    return found;
                }
            std::array<Completion, 4> some;
            const std::size_t n = endpoint->poll(some);
            pending.insert(pending.end(), some.begin(), some.begin() + n);
            if (n > 0) continue;
            if (Clock::now() >= until || endpoint->fault()) return std::nullopt;
            endpoint->wait(until);
        }
    }
    std::unique_ptr<Endpoint> endpoint;
    std::vector<Completion> pending;
};

std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(mix64(seed, i));
    return out;
}

void for_each_transport(const TransportOptions& options,
                        const std::function<void(Transport&)>& body) {
    for (const auto& row : transports().rows()) {
        INFO("transport " << row.info.name);
        const std::unique_ptr<Transport> t = row.make(options);
        body(*t);
    }
}

// Catch2's assertions are for one thread only; ranks report through this.
void require(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what);
}

OperationHead head_of(std::uint64_t operation, std::uint64_t count) {
    return {.operation = operation, .plan_hash = 7, .count = count, .dtype = 1, .reduction = 0};
}

TEST_CASE("the registry offers inproc and explains an unknown name", "[unit]") {
    CHECK(transports().find("inproc") != nullptr);
    CHECK_THROWS_WITH(transports().at("inprok"), Catch::Contains("inproc"));
}

TEST_CASE("messages of many sizes arrive whole, over all lanes, in any order of receives",
          "[unit]") {
    const std::vector<std::size_t> sizes{0, 1, 3, 64, 4097, 1 << 20};
    for_each_transport({.ranks = 2, .rails = 2, .planes = 2}, [&](Transport& t) {
        run_ranks(2, [&](std::uint32_t rank) {
            Peer me(t, rank);
            const std::uint32_t other = 1 - rank;
            require(me.endpoint->connect(other, soon()).ok(), "connect");
            require(me.endpoint->lanes(other).size() == 4, "four lanes");
            me.endpoint->announce(head_of(1, 0));
            std::vector<std::vector<std::byte>> out;
            std::vector<std::vector<std::byte>> in;
            for (std::size_t i = 0; i < sizes.size(); ++i) {
                out.push_back(pattern(sizes[i], rank * 100 + i));
                in.emplace_back(sizes[i]);
            }
            const auto segments = [&](std::vector<std::vector<std::byte>>& memory) {
                std::vector<std::array<Segment, 2>> all;
                for (auto& m : memory) {
                    // In two parts, cut in different places at the two ends.
                    const std::uint32_t region = me.own(m);
                    const std::size_t first = m.size() / (&memory == &out ? 2 : 3);
                    all.push_back({Segment{region, m.data(), first},
                                   Segment{region, m.data() + first, m.size() - first}});
                }
                return all;
            };
            const auto from = segments(out);
            const auto to = segments(in);
            // Receives are posted last first, so that no lane's order helps.
            for (std::size_t k = sizes.size(); k-- > 0;) {
                const MessageKey key{1, 5, static_cast<std::uint32_t>(k)};
                me.endpoint->post_recv(other, key, to[k]);
            }
            for (std::uint32_t k = 0; k < sizes.size(); ++k)
                require(me.endpoint->post_send(other, k % 4, {1, 5, k}, from[k]), "post");
            for (std::size_t k = 0; k < sizes.size(); ++k) {
                require(me.next(Completion::Kind::kSent, soon()).has_value(), "sent");
                require(me.next(Completion::Kind::kReceived, soon()).has_value(), "received");
            }
            for (std::size_t k = 0; k < sizes.size(); ++k)
                require(in[k] == pattern(sizes[k], other * 100 + k), "content");
        });
    });
}

TEST_CASE("a receive without destination shows the bytes until they are released", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        std::atomic<bool> looked{false};
        run_ranks(2, [&](std::uint32_t rank) {
            Peer me(t, rank);
            require(me.endpoint->connect(1 - rank, soon()).ok(), "connect");
            me.endpoint->announce(head_of(1, 0));
            std::vector<std::byte> data = pattern(1000, 3);
            if (rank == 0) {
                const std::array whole{Segment{me.own(data), data.data(), data.size()}};
                require(me.endpoint->post_send(1, 0, {1, 0, 0}, whole), "post");
                require(me.next(Completion::Kind::kSent, soon()).has_value(), "sent");
                require(looked.load(), "the send completed before the view was released");
                return;
            }
            me.endpoint->post_view(0, {1, 0, 0});
            const auto c = me.next(Completion::Kind::kReceived, soon());
            require(c.has_value() && total_size(c->data) == 1000, "view");
            require(std::memcmp(c->data[0].data, data.data(), 1000) == 0, "content");
            looked.store(true);
            me.endpoint->release(*c);
        });
    });
}

TEST_CASE("a lane is bounded: it refuses more until the peer has consumed", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Peer a(t, 0);
        Peer b(t, 1);
        REQUIRE(a.endpoint->connect(1, soon()).ok());
        REQUIRE(b.endpoint->connect(0, soon()).ok());
        a.endpoint->announce(head_of(1, 0));
        b.endpoint->announce(head_of(1, 0));
        std::uint32_t posted = 0;
        while (posted < 100000 && a.endpoint->post_send(1, 0, {1, 0, posted}, {})) ++posted;
        REQUIRE(posted > 0);
        REQUIRE(posted < 100000);
        CHECK(a.endpoint->post_send(1, 1, {1, 1, 0}, {}));  // the other lane has room
        b.endpoint->post_view(0, {1, 0, 0});
        const auto got = b.next(Completion::Kind::kReceived, soon());
        REQUIRE(got.has_value());
        b.endpoint->release(*got);
        REQUIRE(a.next(Completion::Kind::kSent, soon()).has_value());
        CHECK(a.endpoint->post_send(1, 0, {1, 0, posted}, {}));
    });
}

TEST_CASE("connecting to a rank that never comes ends at the deadline and names it", "[unit]") {
    for_each_transport({.ranks = 3}, [](Transport& t) {
        Peer a(t, 0);
        Peer b(t, 1);
        const auto before = Clock::now();
        const Status s = a.endpoint->connect(2, before + 30ms);
        CHECK(Clock::now() - before >= 30ms);
        REQUIRE_FALSE(s.ok());
        CHECK(s.error().peer == 2);
        CHECK_THAT(to_string(s.error()), Catch::Contains("not arrived: rank 2"));
    });
}

TEST_CASE("waiting without news returns at its deadline", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Peer a(t, 0);
        std::array<Completion, 1> none;
        CHECK(a.endpoint->poll(none) == 0);
        const auto before = Clock::now();
        a.endpoint->wait(before + 20ms);
        const auto waited = Clock::now() - before;
        CHECK(waited >= 20ms);
        CHECK(waited < 5s);
    });
}

TEST_CASE("different heads for one operation are a fault although no data moves", "[unit]") {
    for_each_transport({.ranks = 4}, [](Transport& t) {
        std::atomic<int> faults{0};
        run_ranks(4, [&](std::uint32_t rank) {
            Peer me(t, rank);
            me.endpoint->announce(head_of(1, 50));
            me.endpoint->announce(head_of(2, rank == 2 ? 101 : 100));
            const auto until = Clock::now() + 60ms;
            while (Clock::now() < until && !me.endpoint->fault()) me.endpoint->wait(until);
            const auto f = me.endpoint->fault();
            if (!f) return;
            ++faults;
            require(f->kind == Fault::Kind::kDisagreement && f->ours.operation == 2,
                    "operation 2 is at fault");
            require((f->peer == 2) != (rank == 2), "rank 2 is one of the two");
            require(f->ours.count != f->theirs.count, "both counts are shown");
        });
        CHECK(faults.load() >= 1);
    });
}

TEST_CASE("data of a disagreeing peer is never consumed", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Peer a(t, 0);
        Peer b(t, 1);
        REQUIRE(a.endpoint->connect(1, soon()).ok());
        REQUIRE(b.endpoint->connect(0, soon()).ok());
        a.endpoint->announce(head_of(1, 10));
        b.endpoint->announce(head_of(1, 11));
        b.endpoint->post_view(0, {1, 0, 0});
        REQUIRE(a.endpoint->post_send(1, 0, {1, 0, 0}, {}));
        CHECK_FALSE(b.next(Completion::Kind::kReceived, Clock::now() + 60ms).has_value());
        REQUIRE(b.endpoint->fault().has_value());
        CHECK(b.endpoint->fault()->kind == Fault::Kind::kDisagreement);
    });
}

TEST_CASE("a message that does not fit its receive is a fault, and stays where it is", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Peer a(t, 0);
        Peer b(t, 1);
        REQUIRE(a.endpoint->connect(1, soon()).ok());
        REQUIRE(b.endpoint->connect(0, soon()).ok());
        a.endpoint->announce(head_of(1, 10));
        b.endpoint->announce(head_of(1, 10));
        std::vector<std::byte> big = pattern(100, 1);
        std::vector<std::byte> small(50);
        const std::array from{Segment{a.own(big), big.data(), big.size()}};
        const std::array to{Segment{b.own(small), small.data(), small.size()}};
        b.endpoint->post_recv(0, {1, 0, 0}, to);
        REQUIRE(a.endpoint->post_send(1, 0, {1, 0, 0}, from));
        CHECK_FALSE(b.next(Completion::Kind::kReceived, Clock::now() + 60ms).has_value());
        REQUIRE(b.endpoint->fault().has_value());
        CHECK(b.endpoint->fault()->kind == Fault::Kind::kWrongSize);
        a.endpoint->cancel();  // returns at once: nobody reads
        CHECK(small == std::vector<std::byte>(50));
    });
}

TEST_CASE("an abort reaches every rank with the first error", "[unit]") {
    for_each_transport({.ranks = 3}, [](Transport& t) {
        run_ranks(3, [&](std::uint32_t rank) {
            Peer me(t, rank);
            me.endpoint->announce(head_of(1, 0));
            if (rank == 1) me.endpoint->abort({.what = "ran out of patience", .rank = 1});
            const auto until = soon();
            while (Clock::now() < until && !me.endpoint->fault()) me.endpoint->wait(until);
            const auto f = me.endpoint->fault();
            require(f && f->kind == Fault::Kind::kAborted && f->peer == 1, "aborted by rank 1");
            require(f->what.find("ran out of patience") != std::string::npos, f->what);
        });
    });
}

TEST_CASE("who has not reached an operation is known by name", "[unit]") {
    for_each_transport({.ranks = 3}, [](Transport& t) {
        Peer a(t, 0);
        Peer b(t, 1);
        a.endpoint->announce(head_of(1, 0));
        b.endpoint->announce(head_of(1, 0));
        a.endpoint->announce(head_of(2, 0));
        CHECK(a.endpoint->not_arrived(1) == std::vector<std::uint32_t>{2});
        CHECK(a.endpoint->not_arrived(2) == std::vector<std::uint32_t>{1, 2});
    });
}

TEST_CASE("a dead lane gives back what was not consumed, and only that", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Peer a(t, 0);
        Peer b(t, 1);
        REQUIRE(a.endpoint->connect(1, soon()).ok());
        REQUIRE(b.endpoint->connect(0, soon()).ok());
        a.endpoint->announce(head_of(1, 0));
        b.endpoint->announce(head_of(1, 0));
        REQUIRE(a.endpoint->post_send(1, 0, {1, 0, 0}, {}));
        REQUIRE(a.endpoint->post_send(1, 0, {1, 0, 1}, {}));
        b.endpoint->post_view(0, {1, 0, 0});
        const auto first = b.next(Completion::Kind::kReceived, soon());
        REQUIRE(first.has_value());
        if (!t.kill_lane(0, 1, 0)) return;  // this transport cannot inject faults
        const auto down = a.next(Completion::Kind::kLaneDown, soon());
        REQUIRE(down.has_value());
        CHECK(down->peer == 1);
        CHECK(down->lane == 0);
        const auto lost = a.next(Completion::Kind::kSendLost, soon());
        REQUIRE(lost.has_value());
        CHECK(lost->key == MessageKey{1, 0, 1});
        b.endpoint->release(*first);  // taken before the lane died: still acknowledged
        REQUIRE(a.next(Completion::Kind::kSent, soon()).has_value());
        CHECK_FALSE(a.endpoint->post_send(1, 0, {1, 0, 1}, {}));
        REQUIRE(a.endpoint->post_send(1, 1, {1, 0, 1}, {}));
        b.endpoint->post_view(0, {1, 0, 1});
        CHECK(b.next(Completion::Kind::kReceived, soon())->lane == 1);
    });
}

TEST_CASE("a thousand messages each way between all of five ranks, none lost or doubled",
          "[unit]") {
    constexpr std::uint32_t kRanks = 5;
    constexpr std::uint32_t kMessages = 200;
    for_each_transport({.ranks = kRanks, .planes = 3}, [&](Transport& t) {
        run_ranks(kRanks, [&](std::uint32_t rank) {
            Peer me(t, rank);
            me.endpoint->announce(head_of(1, 0));
            std::vector<std::byte> mine(4, static_cast<std::byte>(rank));
            const std::array whole{Segment{me.own(mine), mine.data(), mine.size()}};
            for (std::uint32_t p = 0; p < kRanks; ++p)
                if (p != rank) require(me.endpoint->connect(p, soon()).ok(), "connect");
            std::vector<std::uint32_t> sent(kRanks, 0);
            std::vector<std::vector<int>> got(kRanks, std::vector<int>(kMessages, 0));
            std::uint32_t left = 2 * (kRanks - 1) * kMessages;
            for (std::uint32_t p = 0; p < kRanks; ++p)
                for (std::uint32_t k = 0; p != rank && k < kMessages; ++k)
                    me.endpoint->post_view(p, {1, 9, k});
            while (left > 0) {
                for (std::uint32_t p = 0; p < kRanks; ++p)
                    while (p != rank && sent[p] < kMessages &&
                           me.endpoint->post_send(p, sent[p] % 3, {1, 9, sent[p]}, whole))
                        ++sent[p];
                std::array<Completion, 16> some;
                const std::size_t n = me.endpoint->poll(some);
                for (std::size_t i = 0; i < n; ++i) {
                    --left;
                    if (some[i].kind != Completion::Kind::kReceived) continue;
                    require(*some[i].data[0].data == static_cast<std::byte>(some[i].peer),
                            "content");
                    ++got[some[i].peer][some[i].key.sequence];
                    me.endpoint->release(some[i]);
                }
                if (n == 0) me.endpoint->wait(soon());
            }
            for (std::uint32_t p = 0; p < kRanks; ++p)
                for (const int times : got[p]) require(times == (p != rank), "exactly once");
        });
    });
}

}  // namespace
}  // namespace weft::live
