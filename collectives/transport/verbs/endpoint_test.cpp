// The verbs endpoint over RDMA devices in memory (detail/fake_verbs.hpp): two ranks, two planes.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <fmt/format.h>
#include <thread>

#include "base/rng.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "collectives/transport/verbs/detail/fake_verbs.hpp"
#include "collectives/transport/verbs/verbs.hpp"

namespace weft::live::verbs {
namespace {

using namespace std::chrono_literals;
using Kind = Completion::Kind;

Clock::time_point soon() {
    return Clock::now() + 20s;
}

/// Rank r's port of plane p: each is a device of the fake.
std::string address(std::uint32_t rank, std::uint32_t plane) {
    return fmt::format("127.{}.0.{}", plane + 1, rank + 1);
}

std::vector<Port> ports_of(std::uint32_t rank) {
    std::vector<Port> ports;
    for (std::uint32_t plane = 0; plane < 2; ++plane)
        ports.push_back({.interface = fmt::format("nic{}", plane),
                         .address = address(rank, plane),
                         .plane = static_cast<std::int32_t>(plane)});
    return ports;
}

OperationHead head_of(std::uint64_t operation) {
    OperationHead head;
    head.operation = operation;
    head.plan_hash = 7;
    return head;
}

MessageKey key(std::uint32_t stream, std::uint32_t sequence, std::uint64_t operation = 1) {
    return {.operation = operation, .context = 0, .stream = stream, .sequence = sequence};
}

std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(mix64(seed, i));
    return out;
}

struct Rank {
    std::unique_ptr<NetControl> control;
    std::unique_ptr<Endpoint> endpoint;
    std::vector<Completion> pending;
    std::optional<Fault> fault;

    void look() {
        std::array<Completion, 8> some;
        const std::size_t n = endpoint->poll(some);
        pending.insert(pending.end(), some.begin(), some.begin() + static_cast<long>(n));
        if (!fault) fault = endpoint->fault();
    }
    std::optional<Completion> take(Kind kind) {
        for (std::size_t i = 0; i < pending.size(); ++i)
            if (pending[i].kind == kind) {
                const Completion found = pending[i];
                pending.erase(pending.begin() + static_cast<long>(i));
                return found;
            }
        return std::nullopt;
    }
};

/// Two ranks that have met.
struct World {
    explicit World(VerbsOptions options = {}) {
        auto server = StoreServer::start({});
        store = std::move(server.value());
        run_ranks(2, [&](std::uint32_t r) {
            auto control =
                NetControl::start(store->id(), {.rank = r, .ranks = 2, .ports = ports_of(r)});
            if (!control) throw std::runtime_error(to_string(control.error()));
            ranks[r].control = std::move(control.value());
            VerbsOptions mine = options;
            mine.ports = ports_of(r);
            auto made = make_verbs_endpoint(*ranks[r].control, mine, net);
            if (!made) throw std::runtime_error(to_string(made.error()));
            ranks[r].endpoint = std::move(made.value());
            if (const Status s = ranks[r].control->meet(soon()); !s)
                throw std::runtime_error(to_string(s.error()));
        });
    }
    ~World() {
        for (Rank& r : ranks) r.endpoint.reset();
        for (Rank& r : ranks)
            if (r.control) r.control->leave();
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    void connect() {
        run_ranks(2, [&](std::uint32_t r) {
            if (const Status s = ranks[r].endpoint->connect(1 - r, soon()); !s)
                throw std::runtime_error(to_string(s.error()));
        });
        for (Rank& r : ranks) r.endpoint->begin(head_of(1));
    }
    /// The next completion of a kind at a rank, while both move.
    std::optional<Completion> await(std::uint32_t rank, Kind kind) {
        for (const auto until = soon(); Clock::now() < until && !ranks[rank].fault;) {
            if (auto c = ranks[rank].take(kind)) return c;
            for (Rank& r : ranks) r.look();
        }
        return std::nullopt;
    }
    void move_for(std::chrono::milliseconds time) {
        for (const auto until = Clock::now() + time; Clock::now() < until;)
            for (Rank& r : ranks) r.look();
    }
    Endpoint& a() { return *ranks[0].endpoint; }
    Endpoint& b() { return *ranks[1].endpoint; }

    std::shared_ptr<FakeVerbs> net = std::make_shared<FakeVerbs>(
        std::vector<std::string>{address(0, 0), address(0, 1), address(1, 0), address(1, 1)});
    std::unique_ptr<StoreServer> store;
    std::array<Rank, 2> ranks;
};

/// Memory cut into `pieces` segments of one region.
std::vector<Segment> cut(Endpoint& e, std::vector<std::byte>& memory, std::size_t pieces) {
    const std::uint32_t region = e.register_region(memory);
    std::vector<Segment> out;
    for (std::size_t i = 0; i < pieces; ++i) {
        const std::size_t from = memory.size() * i / pieces;
        out.push_back({region, memory.data() + from, memory.size() * (i + 1) / pieces - from});
    }
    return out;
}

TEST_CASE("messages of any size and in any number of pieces arrive whole on both lanes", "[unit]") {
    World w;
    w.connect();
    REQUIRE(w.a().lanes(1).size() == 2);
    std::uint32_t n = 0;
    for (const std::size_t size : {0UL, 1UL, 1024UL, 1025UL, 4097UL, 300000UL})
        for (const auto& [from_pieces, to_pieces] : {std::pair{1UL, 1UL}, std::pair{3UL, 2UL},
                                                     std::pair{50UL, 7UL}, std::pair{2UL, 90UL}}) {
            auto data = pattern(size, n);
            std::vector<std::byte> target(size);
            const auto from = cut(w.a(), data, from_pieces);
            const auto to = cut(w.b(), target, to_pieces);
            w.b().post_recv(0, key(0, n), to);
            REQUIRE(w.a().post_send(1, n % 2, key(0, n), from));
            const auto got = w.await(1, Kind::kReceived);
            REQUIRE(got.has_value());
            CHECK(got->lane == n % 2);
            REQUIRE(w.await(0, Kind::kSent).has_value());
            CHECK(target == data);
            w.a().deregister_region(from[0].region);
            w.b().deregister_region(to[0].region);
            ++n;
        }
}

TEST_CASE("views show the bytes, before they are asked for or after, and are acknowledged late",
          "[unit]") {
    World w;
    w.connect();
    std::uint32_t n = 0;
    for (const std::size_t size : {0UL, 700UL, 100000UL})
        for (const bool early : {false, true}) {
            auto data = pattern(size, n);
            const auto from = cut(w.a(), data, 1);
            if (!early) w.b().post_view(0, key(0, n), size);
            REQUIRE(w.a().post_send(1, 0, key(0, n), from));
            if (early) {
                w.move_for(5ms);
                w.b().post_view(0, key(0, n), size);
            }
            const auto got = w.await(1, Kind::kReceived);
            REQUIRE(got.has_value());
            REQUIRE(total_size(got->data) == size);
            CHECK((size == 0 || std::memcmp(got->data[0].data, data.data(), size) == 0));
            w.move_for(5ms);
            CHECK_FALSE(w.ranks[0].take(Kind::kSent).has_value());
            w.b().release(*got);
            CHECK(w.await(0, Kind::kSent).has_value());
            ++n;
        }
}

TEST_CASE("queue pairs go through their states in order, and to error at the end of a lane",
          "[unit]") {
    World w({.redial = 20s});
    w.connect();
    const auto before = w.net->transitions();
    CHECK(before.size() == 2 * 2 * 3);
    CHECK(std::count(before.begin(), before.end(), "0>1") == 4);
    CHECK(std::count(before.begin(), before.end(), "1>2") == 4);
    CHECK(std::count(before.begin(), before.end(), "2>3") == 4);
    w.net->cut("127.1.");
    REQUIRE(w.a().post_send(1, 0, key(0, 0), {}));
    REQUIRE(w.await(0, Kind::kLaneDown).has_value());
    REQUIRE(w.await(1, Kind::kLaneDown).has_value());  // told by the other lane
    REQUIRE(w.await(0, Kind::kSendLost).has_value());
    const auto after = w.net->transitions();
    CHECK(std::count(after.begin(), after.end(), "3>6") +
              std::count(after.begin(), after.end(), "6>6") ==
          2);
}

TEST_CASE("a message is lost only when no byte of it can land any more, and goes elsewhere",
          "[unit]") {
    World w({.redial = 20s});
    w.connect();
    auto data = pattern(100000, 1);
    std::vector<std::byte> target(data.size());
    const auto from = cut(w.a(), data, 1);
    const auto to = cut(w.b(), target, 1);
    w.net->hold_writes(true);
    w.b().post_recv(0, key(0, 0), to);
    REQUIRE(w.a().post_send(1, 0, key(0, 0), from));
    for (const auto until = soon(); Clock::now() < until && w.net->held() == 0;) w.move_for(1ms);
    REQUIRE(w.net->held() == 1);  // granted, and on its way
    w.net->cut("127.1.");
    REQUIRE(w.a().post_send(1, 0, key(0, 1), {}));
    const auto down = w.await(0, Kind::kLaneDown);
    REQUIRE(down.has_value());
    CHECK(down->lane == 0);
    const auto first = w.await(0, Kind::kSendLost);
    REQUIRE(first.has_value());
    CHECK(first->key == key(0, 0));
    REQUIRE(w.await(0, Kind::kSendLost).has_value());
    CHECK_FALSE(w.a().post_send(1, 0, key(0, 0), from));
    CHECK(w.net->deliver_late() == 0);
    CHECK(target == std::vector<std::byte>(data.size()));
    w.net->hold_writes(false);
    REQUIRE(w.a().post_send(1, 1, key(0, 0), from));
    const auto got = w.await(1, Kind::kReceived);
    REQUIRE(got.has_value());
    CHECK(got->lane == 1);
    CHECK(w.await(0, Kind::kSent).has_value());
    CHECK(target == data);
}

TEST_CASE("a peer that does not answer keeps its messages from being lost until it does",
          "[unit]") {
    World w({.redial = 20s});
    w.connect();
    w.net->cut("127.1.");
    REQUIRE(w.a().post_send(1, 0, key(0, 0), {}));
    for (const auto until = Clock::now() + 50ms; Clock::now() < until;) w.ranks[0].look();
    CHECK(w.ranks[0].take(Kind::kLaneDown).has_value());
    CHECK_FALSE(w.ranks[0].take(Kind::kSendLost).has_value());  // its end is not fenced yet
    CHECK(w.await(0, Kind::kSendLost).has_value());
}

TEST_CASE("a lane comes back and carries again", "[unit]") {
    World w({.redial = 20ms});
    w.connect();
    REQUIRE(w.a().cut_lane(1, 0));
    REQUIRE(w.b().cut_lane(0, 0));
    REQUIRE(w.await(0, Kind::kLaneDown).has_value());
    w.move_for(50ms);
    CHECK_FALSE(w.ranks[0].take(Kind::kLaneUp).has_value());
    w.a().mend_lane(1, 0);
    w.b().mend_lane(0, 0);
    REQUIRE(w.await(0, Kind::kLaneUp).has_value());
    REQUIRE(w.await(1, Kind::kLaneUp).has_value());
    auto data = pattern(5000, 1);
    const auto from = cut(w.a(), data, 1);
    w.b().post_view(0, key(0, 0), 5000);
    REQUIRE(w.a().post_send(1, 0, key(0, 0), from));
    REQUIRE(w.await(1, Kind::kReceived).has_value());
}

TEST_CASE("when every lane dies, what was lost comes back with the first new lane", "[unit]") {
    World w({.redial = 20ms});
    w.connect();
    w.net->cut("127.");
    REQUIRE(w.a().post_send(1, 0, key(0, 0), {}));
    REQUIRE(w.a().post_send(1, 1, key(0, 1), {}));
    REQUIRE(w.await(0, Kind::kLaneDown).has_value());
    w.net->mend("127.");
    REQUIRE(w.await(0, Kind::kSendLost).has_value());
    REQUIRE(w.await(0, Kind::kSendLost).has_value());
}

TEST_CASE("a port that goes down takes its lanes with it at once", "[unit]") {
    World w({.redial = 20s});
    w.connect();
    w.net->port_event(address(0, 1), IBV_EVENT_PORT_ERR);
    const auto before = Clock::now();
    while (w.a().arm()) wait_readable(w.a().fds(), soon());
    w.a().disarm();
    const auto down = w.await(0, Kind::kLaneDown);
    REQUIRE(down.has_value());
    CHECK(down->lane == 1);
    CHECK(Clock::now() - before < 10s);
}

TEST_CASE("after cancel nothing lands in this rank's memory", "[unit]") {
    World w({.redial = 20ms});
    w.connect();
    auto data = pattern(50000, 1);
    std::vector<std::byte> target(data.size());
    const auto from = cut(w.a(), data, 1);
    const auto to = cut(w.b(), target, 1);
    w.net->hold_writes(true);
    w.b().post_recv(0, key(0, 0), to);
    REQUIRE(w.a().post_send(1, 0, key(0, 0), from));
    for (const auto until = soon(); Clock::now() < until && w.net->held() == 0;) w.move_for(1ms);
    REQUIRE(w.net->held() == 1);
    w.b().cancel(0, 1);
    CHECK(w.net->deliver_late() == 0);
    CHECK(target == std::vector<std::byte>(data.size()));
    w.net->hold_writes(false);
    w.a().cancel(0, 1);
    for (Rank& r : w.ranks) r.endpoint->begin(head_of(2));
    w.b().post_recv(0, key(0, 0, 2), to);
    REQUIRE(w.a().post_send(1, 1, key(0, 0, 2), from));
    REQUIRE(w.await(1, Kind::kReceived).has_value());
    CHECK(target == data);
}

TEST_CASE("memory that is used again at the same address is never met by an old registration",
          "[unit]") {
    World w;
    w.connect();
    const std::size_t before = w.net->registered();
    std::vector<std::byte> memory(8192);
    for (std::uint32_t n = 0; n < 3; ++n) {
        const auto data = pattern(memory.size(), n);
        memory = data;
        const auto from = cut(w.a(), memory, 1);
        std::vector<std::byte> target(memory.size());
        const auto to = cut(w.b(), target, 1);
        w.b().post_recv(0, key(0, n), to);
        REQUIRE(w.a().post_send(1, 0, key(0, n), from));
        REQUIRE(w.await(1, Kind::kReceived).has_value());
        REQUIRE(w.await(0, Kind::kSent).has_value());
        CHECK(target == data);
        CHECK(w.net->registered() == before + 2 * memory.size());
        w.a().deregister_region(from[0].region);
        w.b().deregister_region(to[0].region);
        CHECK(w.net->registered() == before);
    }
}

TEST_CASE("without memory to lock there is one clear line, not a hang", "[unit]") {
    {
        World w;
        w.ranks[1].look();
        w.net->limit_memory(64 << 10);
        const Status s = w.a().connect(1, Clock::now() + 200ms);
        REQUIRE_FALSE(s.ok());
        CHECK_THAT(to_string(s.error()), Catch::Contains("RDMA cannot"));
    }
    World w;
    w.connect();
    w.net->limit_memory(w.net->registered() + 100);
    auto data = pattern(100000, 1);
    const auto from = cut(w.a(), data, 1);
    w.b().post_view(0, key(0, 0), data.size());
    REQUIRE(w.a().post_send(1, 0, key(0, 0), from));
    CHECK_FALSE(w.await(1, Kind::kReceived).has_value());
    REQUIRE(w.ranks[1].fault.has_value());
    CHECK(w.ranks[1].fault->kind == Fault::Kind::kUnreachable);
    CHECK_THAT(w.ranks[1].fault->what, Catch::Contains("RDMA cannot"));
}

TEST_CASE("hundreds of messages each way, more than there are slots, credits or requests",
          "[unit]") {
    World w;
    w.connect();
    constexpr std::uint32_t kMessages = 300;
    std::array<std::vector<std::byte>, 2> data{pattern(3000, 1), pattern(3000, 2)};
    std::array<std::uint32_t, 2> sent{0, 0};
    std::array<std::uint32_t, 2> got{0, 0};
    std::array<std::vector<Segment>, 2> whole{cut(w.a(), data[0], 3), cut(w.b(), data[1], 3)};
    for (std::uint32_t r = 0; r < 2; ++r)
        for (std::uint32_t k = 0; k < kMessages; ++k)
            w.ranks[r].endpoint->post_view(1 - r, key(0, k), k % 3 == 0 ? 1000 : 3000);
    for (const auto until = soon(); Clock::now() < until && got[0] + got[1] < 2 * kMessages;)
        for (std::uint32_t r = 0; r < 2; ++r) {
            Rank& me = w.ranks[r];
            while (sent[r] < kMessages &&
                   me.endpoint->post_send(1 - r, sent[r] % 2, key(0, sent[r]),
                                          Segments(whole[r]).first(sent[r] % 3 == 0 ? 1 : 3)))
                ++sent[r];
            me.look();
            REQUIRE_FALSE(me.fault.has_value());
            while (const auto c = me.take(Kind::kReceived)) {
                CHECK(*c->data[0].data == data[1 - r][0]);
                me.endpoint->release(*c);
                ++got[r];
            }
        }
    CHECK(got[0] == kMessages);
    CHECK(got[1] == kMessages);
}

TEST_CASE("one end may connect while the other only looks after its work", "[unit]") {
    World w;
    w.ranks[0].look();
    const Status s = w.b().connect(0, soon());
    CHECK(s.ok());
    w.b().begin(head_of(1));
    REQUIRE(w.b().post_send(0, 0, key(0, 0), {}));
    REQUIRE(w.a().connect(1, soon()).ok());
    w.a().begin(head_of(1));
    w.a().post_view(1, key(0, 0), 0);
    CHECK(w.await(0, Kind::kReceived).has_value());
}

TEST_CASE("the library is loaded when it is there, and its devices are found by address",
          "[unit]") {
    const auto api = load_api();
    if (!api) {
        CHECK_THAT(api.error().what, Catch::Contains("no RDMA"));
        return;
    }
    const auto device = Device::open(api.value(), {.interface = "nowhere", .address = "192.0.2.1"});
    REQUIRE_FALSE(device.ok());
    CHECK_THAT(device.error().what, Catch::Contains("192.0.2.1"));
    CHECK_THAT(device.error().what, Catch::Contains("no RDMA device"));
}

}  // namespace
}  // namespace weft::live::verbs
