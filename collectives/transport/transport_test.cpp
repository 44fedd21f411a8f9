// The conformance suite: what the runtime relies on, for every transport of the registry.
#include "collectives/transport/transport.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <thread>

#include "base/rng.hpp"
#include "collectives/transport/fault/fault.hpp"
#include "collectives/transport/mpi/mpi.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "collectives/transport/trace/trace.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;

Clock::time_point soon() {
    return Clock::now() + 20s;
}

/// One rank of a test: its endpoint and the completions that nobody has asked for yet.
struct Peer {
    explicit Peer(Member m) : member(std::move(m)), endpoint(member.endpoint.get()) {}
    Peer(Transport& t, std::uint32_t rank) : Peer(opened(t, rank)) {}

    static Member opened(Transport& t, std::uint32_t rank) {
        auto member = t.open(rank, soon());
        if (!member) throw std::runtime_error(to_string(member.error()));
        return std::move(member.value());
    }
    std::uint32_t own(std::vector<std::byte>& memory) { return endpoint->register_region(memory); }
    void begin(const OperationHead& head) {
        member.control->began(head);
        endpoint->begin(head);
    }
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
            if (!fault) fault = endpoint->fault();
            if (Clock::now() >= until || fault) return std::nullopt;
            sleep_until(*endpoint, until);
        }
    }
    Member member;
    Endpoint* endpoint;
    std::vector<Completion> pending;
    std::optional<Fault> fault;
};

/// All ranks of a transport, opened at the same time, since open() may wait for the others.
std::vector<std::unique_ptr<Peer>> open_all(Transport& t, std::uint32_t ranks) {
    std::vector<std::unique_ptr<Peer>> all(ranks);
    run_ranks(ranks, [&](std::uint32_t r) { all[r] = std::make_unique<Peer>(t, r); });
    return all;
}

/// Two ranks that are connected to each other.
struct Pair {
    explicit Pair(Transport& t) : all(open_all(t, 2)), a(*all[0]), b(*all[1]) {
        run_ranks(2, [&](std::uint32_t r) {
            const Status s = all[r]->endpoint->connect(1 - r, soon());
            if (!s) throw std::runtime_error(to_string(s.error()));
        });
    }
    std::vector<std::unique_ptr<Peer>> all;
    Peer& a;
    Peer& b;
};

std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(mix64(seed, i));
    return out;
}

/// WEFT_TRANSPORT in the environment: that one alone. "mpi", which has no threads for ranks
/// elsewhere, is tried on request.
void for_each_transport(const TransportOptions& options,
                        const std::function<void(Transport&)>& body) {
    const char* only = std::getenv("WEFT_TRANSPORT");
    if (only != nullptr && only == std::string("mpi")) {
        const std::unique_ptr<Transport> t = make_mpi(options);
        return body(*t);
    }
    if (only != nullptr) REQUIRE(transports().find(only) != nullptr);
    for (const auto& row : transports().rows()) {
        if (only != nullptr && row.info.name != only) continue;
        INFO("transport " << row.info.name);
        const std::unique_ptr<Transport> t = row.make(options);
        body(*t);
        // What stands in between changes nothing as long as nothing goes wrong.
        INFO("under decorators");
        std::vector<TraceLog> logs(options.ranks);
        const auto under = with_trace(with_faults(row.make(options), {}), logs);
        body(*under);
    }
}

// Catch2's assertions are for one thread only; ranks report through this.
void require(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what);
}

OperationHead head_of(std::uint64_t operation, std::uint64_t count) {
    OperationHead head;
    head.operation = operation;
    head.plan_hash = 7;
    head.count = count;
    return head;
}

/// A message of operation 1 of the world.
MessageKey key(std::uint32_t stream, std::uint32_t sequence) {
    return {.operation = 1, .context = 0, .stream = stream, .sequence = sequence};
}

TEST_CASE("the registry offers inproc and explains an unknown name", "[unit]") {
    CHECK(transports().find("inproc") != nullptr);
    CHECK_THROWS_WITH(transports().at("inprok"), Catch::Contains("inproc"));
}

TEST_CASE("verbs runs where there is RDMA, and says what is missing where there is none",
          "[unit]") {
    if (transports().find("verbs") != nullptr)
        CHECK(transport_named("verbs").info.name == "verbs");
    else
        CHECK_THROWS_WITH(transport_named("verbs"),
                          Catch::Contains("a transport that runs here ("));
    CHECK(transport_named("inproc").info.name == "inproc");
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
            me.begin(head_of(1, 0));
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
                me.endpoint->post_recv(other, key(5, static_cast<std::uint32_t>(k)), to[k]);
            }
            for (std::uint32_t k = 0; k < sizes.size(); ++k)
                require(me.endpoint->post_send(other, k % 4, key(5, k), from[k]), "post");
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
            me.begin(head_of(1, 0));
            std::vector<std::byte> data = pattern(1000, 3);
            if (rank == 0) {
                const std::array whole{Segment{me.own(data), data.data(), data.size()}};
                require(me.endpoint->post_send(1, 0, key(0, 0), whole), "post");
                require(me.next(Completion::Kind::kSent, soon()).has_value(), "sent");
                require(looked.load(), "the send completed before the view was released");
                return;
            }
            me.endpoint->post_view(0, key(0, 0), 1000);
            const auto c = me.next(Completion::Kind::kReceived, soon());
            require(c.has_value() && total_size(c->data) == 1000, "view");
            require(std::memcmp(c->data[0].data, data.data(), 1000) == 0, "content");
            looked.store(true);
            me.endpoint->release(*c);
        });
    });
}

/// A completion of `who`, while `other` is polled too: both ends have a part in every message.
std::optional<Completion> await(Peer& who, Completion::Kind kind, Peer& other,
                                Clock::time_point until) {
    while (Clock::now() < until && !who.fault) {
        if (auto c = who.next(kind, Clock::now() + 1ms)) return c;
        std::array<Completion, 4> some;
        const std::size_t n = other.endpoint->poll(some);
        other.pending.insert(other.pending.end(), some.begin(), some.begin() + n);
    }
    return std::nullopt;
}

TEST_CASE("a lane is bounded: it refuses more until the peer has consumed", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Pair two(t);
        auto& [all, a, b] = two;
        a.begin(head_of(1, 0));
        b.begin(head_of(1, 0));
        std::uint32_t posted = 0;
        while (posted < 100000 && a.endpoint->post_send(1, 0, key(0, posted), {})) ++posted;
        REQUIRE(posted > 0);
        REQUIRE(posted < 100000);
        CHECK(a.endpoint->post_send(1, 1, key(1, 0), {}));  // the other lane has room
        b.endpoint->post_view(0, key(0, 0), 0);
        const auto got = await(b, Completion::Kind::kReceived, a, soon());
        REQUIRE(got.has_value());
        b.endpoint->release(*got);
        REQUIRE(await(a, Completion::Kind::kSent, b, soon()).has_value());
        CHECK(a.endpoint->post_send(1, 0, key(0, posted), {}));
    });
}

TEST_CASE("connecting to a rank that never comes ends at the deadline and names it", "[unit]") {
    for_each_transport({.ranks = 3}, [](Transport& t) {
        const auto before = Clock::now();
        if (!t.opens_alone()) {
            run_ranks(2, [&](std::uint32_t r) {
                const auto member = t.open(r, before + 300ms);
                require(!member.ok(), "opened without rank 2");
                const std::string text = to_string(member.error());
                require(text.find("not arrived: rank 2") != std::string::npos, text);
            });
            CHECK(Clock::now() - before < 15s);
            return;
        }
        Peer a(t, 0);
        Peer b(t, 1);
        const Status s = a.endpoint->connect(2, before + 30ms);
        CHECK(Clock::now() - before >= 30ms);
        REQUIRE_FALSE(s.ok());
        CHECK(s.error().peer == 2);
        CHECK_THAT(to_string(s.error()), Catch::Contains("not arrived: rank 2"));
    });
}

TEST_CASE("sleeping without news ends at its deadline, and at a call to wake up", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        const auto all = open_all(t, 2);
        Endpoint& e = *all[0]->endpoint;
        std::array<Completion, 1> none;
        CHECK(e.poll(none) == 0);
        const auto before = Clock::now();
        while (Clock::now() < before + 20ms) {
            sleep_until(e, before + 20ms);
            CHECK(e.poll(none) == 0);
        }
        std::thread waker([&] {
            std::this_thread::sleep_for(20ms);
            e.wake();
        });
        const auto start = Clock::now();
        sleep_until(e, start + 20s);
        CHECK(Clock::now() - start < 15s);
        waker.join();
    });
}

TEST_CASE("different heads for one operation are an alarm although no data moves", "[unit]") {
    for_each_transport({.ranks = 4}, [](Transport& t) {
        const std::vector<std::uint32_t> everybody{0, 1, 2, 3};
        std::atomic<int> alarms{0};
        run_ranks(4, [&](std::uint32_t rank) {
            Peer me(t, rank);
            Control& control = *me.member.control;
            me.begin(head_of(1, 50));
            me.begin(head_of(2, rank == 2 ? 101 : 100));
            const auto until = soon();
            while (Clock::now() < until && !control.alarm(0, everybody)) {
                control.inquire(head_of(2, rank == 2 ? 101 : 100), everybody);
                std::this_thread::sleep_for(10ms);
            }
            const auto alarm = control.alarm(0, everybody);
            require(alarm.has_value(), "an alarm");
            require(alarm->kind == Alarm::Kind::kDisagreement && alarm->ours.operation == 2,
                    "operation 2 is at fault");
            require((alarm->peer == 2) != (alarm->rank == 2), "rank 2 is one of the two");
            require(alarm->ours.count != alarm->theirs.count, "both counts are shown");
            ++alarms;
            while (Clock::now() < until && alarms.load() < 4) std::this_thread::sleep_for(1ms);
        });
        CHECK(alarms.load() == 4);
    });
}

TEST_CASE("data of a disagreeing peer is never consumed", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Pair two(t);
        auto& [all, a, b] = two;
        a.begin(head_of(1, 10));
        b.begin(head_of(1, 11));
        b.endpoint->post_view(0, key(0, 0), 0);
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 0), {}));
        CHECK_FALSE(await(b, Completion::Kind::kReceived, a, soon()).has_value());
        REQUIRE(b.fault.has_value());
        CHECK(b.fault->kind == Fault::Kind::kDisagreement);
        CHECK(b.fault->ours == head_of(1, 11));
        CHECK(b.fault->theirs == head_of(1, 10));
    });
}

TEST_CASE("a message that does not fit its receive is a fault, and stays where it is", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Pair two(t);
        auto& [all, a, b] = two;
        a.begin(head_of(1, 10));
        b.begin(head_of(1, 10));
        std::vector<std::byte> big = pattern(100, 1);
        std::vector<std::byte> small(50);
        const std::array from{Segment{a.own(big), big.data(), big.size()}};
        const std::array to{Segment{b.own(small), small.data(), small.size()}};
        b.endpoint->post_recv(0, key(0, 0), to);
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 0), from));
        CHECK_FALSE(await(b, Completion::Kind::kReceived, a, soon()).has_value());
        REQUIRE(b.fault.has_value());
        CHECK(b.fault->kind == Fault::Kind::kWrongSize);
        a.endpoint->cancel(0, 1);  // returns at once: nobody reads
        CHECK(small == std::vector<std::byte>(50));
    });
}

TEST_CASE("after cancel nothing arrives, and the next operation is not disturbed", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Pair two(t);
        auto& [all, a, b] = two;
        std::vector<std::byte> data = pattern(1 << 20, 1);
        std::vector<std::byte> target(data.size());
        const std::array from{Segment{a.own(data), data.data(), data.size()}};
        const std::array to{Segment{b.own(target), target.data(), target.size()}};
        a.begin(head_of(1, 10));
        b.begin(head_of(1, 10));
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 0), from));
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 1), from));
        b.endpoint->post_recv(0, key(0, 0), to);
        b.endpoint->cancel(0, 1);
        const std::vector<std::byte> then = target;
        a.begin(head_of(2, 10));
        b.begin(head_of(2, 10));
        a.endpoint->cancel(0, 1);
        MessageKey second = key(0, 0);
        second.operation = 2;
        const std::array little{Segment{from[0].region, data.data(), 10}};
        const std::array end{Segment{to[0].region, target.data() + 1000, 10}};
        b.endpoint->post_recv(0, second, end);
        REQUIRE(a.endpoint->post_send(1, 0, second, little));
        REQUIRE(await(b, Completion::Kind::kReceived, a, soon()).has_value());
        REQUIRE(await(a, Completion::Kind::kSent, b, soon()).has_value());
        CHECK(std::equal(target.begin() + 1000, target.begin() + 1010, data.begin()));
        std::copy(then.begin() + 1000, then.begin() + 1010, target.begin() + 1000);
        CHECK(target == then);
    });
}

TEST_CASE("what nobody asks for holds up no other stream or communicator", "[unit]") {
    for_each_transport({.ranks = 2, .planes = 1}, [](Transport& t) {
        Pair two(t);
        auto& [all, a, b] = two;
        std::vector<std::byte> data = pattern(1 << 18, 1);
        std::vector<std::byte> target(data.size());
        const std::array from{Segment{a.own(data), data.data(), data.size()}};
        const std::array to{Segment{b.own(target), target.data(), target.size()}};
        OperationHead other = head_of(1, 5);
        other.context = 9;
        a.begin(other);  // never begun by b
        a.begin(head_of(1, 5));
        b.begin(head_of(1, 5));
        for (std::uint32_t i = 0; i < 4; ++i) {
            MessageKey unasked = key(0, i);
            unasked.context = 9;
            REQUIRE(a.endpoint->post_send(1, 0, unasked, from));
            REQUIRE(a.endpoint->post_send(1, 0, key(7, i), from));  // another stream, never asked
        }
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 0), from));
        b.endpoint->post_recv(0, key(0, 0), to);
        REQUIRE(await(b, Completion::Kind::kReceived, a, soon()).has_value());
        CHECK(target == data);
    });
}

TEST_CASE("an alarm reaches every rank with its reason", "[unit]") {
    for_each_transport({.ranks = 3}, [](Transport& t) {
        const std::vector<std::uint32_t> everybody{0, 1, 2};
        std::atomic<int> heard{0};
        run_ranks(3, [&](std::uint32_t rank) {
            Peer me(t, rank);
            Control& control = *me.member.control;
            Alarm alarm;
            alarm.rank = 1;
            alarm.what = "ran out of patience";
            if (rank == 1) control.raise(alarm);
            const auto until = soon();
            while (Clock::now() < until && !control.alarm(0, everybody))
                std::this_thread::sleep_for(1ms);
            const auto got = control.alarm(0, everybody);
            require(got == alarm, "aborted by rank 1");
            const std::vector<std::uint32_t> others{0, 2};
            require(!control.alarm(0, others), "not a matter of those who have no rank 1");
            require(!control.alarm(3, everybody), "nor of other communicators");
            ++heard;
            while (Clock::now() < until && heard.load() < 3) std::this_thread::sleep_for(1ms);
        });
        CHECK(heard.load() == 3);
    });
}

TEST_CASE("who has not reached an operation is known by name, and where it is", "[unit]") {
    for_each_transport({.ranks = 3}, [](Transport& t) {
        const auto all = open_all(t, 3);
        const std::vector<std::uint32_t> everybody{0, 1, 2};
        OperationHead elsewhere = head_of(1, 0);
        elsewhere.context = 4;
        all[0]->begin(head_of(1, 0));
        all[0]->member.control->finished(0, 1);
        all[0]->begin(head_of(2, 0));
        all[1]->begin(head_of(1, 0));
        all[1]->member.control->finished(0, 1);
        all[2]->begin(elsewhere);
        all[2]->member.control->waits_for(4, "rank 7");
        Control& control = *all[0]->member.control;
        std::vector<Absent> absent;
        const auto known = [&] {
            absent = control.absent(head_of(2, 0), everybody);
            return absent.size() == 2 && absent[0].why == Absent::Why::kLate &&
                   absent[1].why == Absent::Why::kElsewhere;
        };
        for (const auto until = soon(); Clock::now() < until && !known();) {
            control.inquire(head_of(2, 0), everybody);
            std::this_thread::sleep_for(5ms);
        }
        REQUIRE(known());
        CHECK(absent[0].rank == 1);
        CHECK(absent[1].rank == 2);
        CHECK(absent[1].head == elsewhere);
        CHECK(absent[1].where == "rank 7");
    });
}

TEST_CASE("a dead lane gives back what was not consumed, and only that", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        Pair two(t);
        auto& [all, a, b] = two;
        a.begin(head_of(1, 0));
        b.begin(head_of(1, 0));
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 0), {}));
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 1), {}));
        b.endpoint->post_view(0, key(0, 0), 0);
        const auto first = await(b, Completion::Kind::kReceived, a, soon());
        REQUIRE(first.has_value());
        b.endpoint->release(*first);
        REQUIRE(await(a, Completion::Kind::kSent, b, soon()).has_value());
        if (!a.endpoint->cut_lane(1, 0)) return;  // this transport cannot inject faults
        b.endpoint->cut_lane(0, 0);
        const auto down = await(a, Completion::Kind::kLaneDown, b, soon());
        REQUIRE(down.has_value());
        CHECK(down->peer == 1);
        CHECK(down->lane == 0);
        const auto lost = await(a, Completion::Kind::kSendLost, b, soon());
        REQUIRE(lost.has_value());
        CHECK(lost->key == key(0, 1));
        CHECK_FALSE(a.endpoint->post_send(1, 0, key(0, 1), {}));
        REQUIRE(a.endpoint->post_send(1, 1, key(0, 1), {}));
        b.endpoint->post_view(0, key(0, 1), 0);
        const auto second = await(b, Completion::Kind::kReceived, a, soon());
        REQUIRE(second.has_value());
        // By lane 1, unless it had come unasked by lane 0 before that died.
        CHECK(second->key == key(0, 1));
        b.endpoint->release(*second);
        REQUIRE(await(a, Completion::Kind::kSent, b, soon()).has_value());

        a.endpoint->mend_lane(1, 0);
        b.endpoint->mend_lane(0, 0);
        const auto up = await(a, Completion::Kind::kLaneUp, b, soon());
        REQUIRE(up.has_value());
        REQUIRE(a.endpoint->post_send(1, 0, key(0, 2), {}));
        b.endpoint->post_view(0, key(0, 2), 0);
        REQUIRE(await(b, Completion::Kind::kReceived, a, soon()).has_value());
    });
}

TEST_CASE("a lane that dies before this rank has connected is known when it has", "[unit]") {
    for_each_transport({.ranks = 2}, [](Transport& t) {
        const auto all = open_all(t, 2);
        Peer &a = *all[0], &b = *all[1];
        // Some transports connect only while the other end does so too, or looks.
        std::atomic<bool> met{false};
        run_ranks(2, [&](std::uint32_t rank) {
            if (rank == 0) {
                const Status s = a.endpoint->connect(1, soon());
                met = true;
                require(s.ok(), "connect");
            }
            std::array<Completion, 4> none;
            while (rank == 1 && !met) require(b.endpoint->poll(none) == 0, "nothing to tell yet");
        });
        if (!a.endpoint->cut_lane(1, 0)) return;
        // A few looks: it may be told now, or when this rank has connected.
        for (int i = 0; i < 3; ++i) {
            std::array<Completion, 4> some;
            const std::size_t n = b.endpoint->poll(some);
            b.pending.insert(b.pending.end(), some.begin(), some.begin() + n);
        }
        run_ranks(2, [&](std::uint32_t rank) {
            require(all[rank]->endpoint->connect(1 - rank, soon()).ok(), "connect back");
        });
        a.begin(head_of(1, 0));
        b.begin(head_of(1, 0));
        REQUIRE(b.endpoint->post_send(0, 1, key(0, 0), {}));
        a.endpoint->post_view(1, key(0, 0), 0);
        const auto got = await(a, Completion::Kind::kReceived, b, soon());
        REQUIRE(got.has_value());
        CHECK(got->lane == 1);
        a.endpoint->release(*got);
        REQUIRE(await(b, Completion::Kind::kSent, a, soon()).has_value());
        // Who has nothing to send by it may never learn of it.
        for (const Completion& c : b.pending) {
            CHECK(c.kind == Completion::Kind::kLaneDown);
            CHECK(c.lane == 0);
        }
    });
}

TEST_CASE("hundreds of messages each way between all of five ranks, none lost or doubled",
          "[unit]") {
    constexpr std::uint32_t kRanks = 5;
    constexpr std::uint32_t kMessages = 200;
    for_each_transport({.ranks = kRanks, .planes = 3}, [&](Transport& t) {
        std::atomic<std::uint32_t> ready{0};
        run_ranks(kRanks, [&](std::uint32_t rank) {
            Peer me(t, rank);
            me.begin(head_of(1, 0));
            std::vector<std::byte> mine(4, static_cast<std::byte>(rank));
            const std::array whole{Segment{me.own(mine), mine.data(), mine.size()}};
            for (std::uint32_t p = 0; p < kRanks; ++p)
                if (p != rank) require(me.endpoint->connect(p, soon()).ok(), "connect");
            std::vector<std::uint32_t> sent(kRanks, 0);
            std::vector<std::vector<int>> got(kRanks, std::vector<int>(kMessages, 0));
            std::uint32_t left = 2 * (kRanks - 1) * kMessages;
            for (std::uint32_t p = 0; p < kRanks; ++p)
                for (std::uint32_t k = 0; p != rank && k < kMessages; ++k)
                    me.endpoint->post_view(p, key(9, k), 4);
            const auto until = soon();
            bool finished = false;
            // Whoever is through goes on answering until everybody is.
            while (ready.load() < kRanks) {
                for (std::uint32_t p = 0; p < kRanks; ++p)
                    while (p != rank && sent[p] < kMessages &&
                           me.endpoint->post_send(p, sent[p] % 3, key(9, sent[p]), whole))
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
                if (left == 0 && !finished) {
                    finished = true;
                    ++ready;
                }
                require(Clock::now() < until, "all messages in time");
                if (n == 0) sleep_until(*me.endpoint, Clock::now() + 10ms);
            }
            for (std::uint32_t p = 0; p < kRanks; ++p)
                for (const int times : got[p]) require(times == (p != rank), "exactly once");
        });
    });
}

}  // namespace
}  // namespace weft::live
