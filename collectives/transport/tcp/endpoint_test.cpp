// The tcp endpoint over a fake network (detail/fake_net.hpp), two or three ranks polled in turn by
// one thread, and against a peer that is played by the test frame by frame.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <poll.h>
#include <thread>

#include "base/rng.hpp"
#include "collectives/transport/tcp/detail/fake_net.hpp"
#include "collectives/transport/tcp/dialler.hpp"
#include "collectives/transport/tcp/frame.hpp"
#include "collectives/transport/tcp/tcp.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using Kind = Completion::Kind;

Clock::time_point soon() {
    return Clock::now() + 20s;
}

std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> out(size);
    for (std::size_t i = 0; i < size; i += 8) {
        const std::uint64_t word = mix64(seed, i);
        std::memcpy(out.data() + i, &word, std::min<std::size_t>(8, size - i));
    }
    return out;
}

OperationHead head_of(ContextId context, std::uint64_t operation, std::uint64_t count = 0) {
    return {.operation = operation, .plan_hash = 7, .count = count, .context = context, .dtype = 1};
}

/// Memory with the list of one segment that names it.
struct Memory {
    Memory(Endpoint& e, std::vector<std::byte> content) : bytes(std::move(content)) {
        whole[0] = {e.register_region(bytes), bytes.data(), bytes.size()};
    }
    std::vector<std::byte> bytes;
    std::array<Segment, 1> whole;
};

struct Pair {
    explicit Pair(std::int32_t rails = 1, std::int32_t planes = 2, const TcpOptions& o = {},
                  std::uint32_t ranks = 2)
        : net(ranks, rails, planes), got(ranks) {
        for (std::uint32_t r = 0; r < ranks; ++r)
            ends.push_back(make_tcp_endpoint(net.control(r), o));
        for (std::uint32_t r = 0; r < ranks; ++r)
            for (std::uint32_t p = 0; p < ranks; ++p)
                if (p != r) REQUIRE(ends[r]->connect(p, soon()).ok());
    }
    Endpoint& operator[](std::uint32_t rank) { return *ends[rank]; }
    void begin(const OperationHead& head) {
        for (auto& e : ends) e->begin(head);
    }
    /// Polls all ranks that are not `asleep` once.
    void turn() {
        std::size_t n = 0;
        for (std::uint32_t r = 0; r < ends.size(); ++r) {
            if (asleep == static_cast<int>(r)) continue;
            std::array<Completion, 16> some;
            const std::size_t k = ends[r]->poll(some);
            got[r].insert(got[r].end(), some.begin(), some.begin() + static_cast<long>(k));
            n += k;
        }
        if (n == 0) std::this_thread::sleep_for(50us);
    }
    void turn_for(std::chrono::milliseconds time) {
        for (const auto end = Clock::now() + time; Clock::now() < end;) turn();
    }
    /// The next completion of a kind at a rank.
    std::optional<Completion> next(std::uint32_t rank, Kind kind,
                                   std::chrono::milliseconds patience = 20s) {
        const auto end = Clock::now() + patience;
        while (true) {
            for (auto it = got[rank].begin(); it != got[rank].end(); ++it)
                if (it->kind == kind) {
                    const Completion c = *it;
                    got[rank].erase(it);
                    return c;
                }
            if (Clock::now() >= end) return std::nullopt;
            turn();
        }
    }
    std::optional<Fault> fault(std::uint32_t rank, std::chrono::milliseconds patience = 20s) {
        const auto end = Clock::now() + patience;
        while (true) {
            if (const auto f = ends[rank]->fault()) return f;
            if (Clock::now() >= end) return std::nullopt;
            turn();
        }
    }
    std::size_t count(std::uint32_t rank, Kind kind) const {
        return static_cast<std::size_t>(
            std::count_if(got[rank].begin(), got[rank].end(),
                          [&](const Completion& c) { return c.kind == kind; }));
    }
    FakeNet net;
    std::vector<std::unique_ptr<Endpoint>> ends;
    std::vector<std::vector<Completion>> got;
    int asleep = -1;
};

TEST_CASE("tcp: lanes are rails x planes x paths", "[unit]") {
    Pair p(2, 2, {.paths = 3});
    CHECK(p[0].lanes(1).size() == 12);
    CHECK(p[1].lanes(0)[5].plane == p[0].lanes(1)[5].plane);
}

TEST_CASE("tcp: sizes around the eager limit and the chunk arrive whole, receives first or last",
          "[unit]") {
    const bool verify = GENERATE(false, true);
    const bool receives_first = GENERATE(false, true);
    Pair p(2, 2, {.verify = verify});
    p.begin(head_of(3, 1));
    const std::vector<std::size_t> sizes{0,     1,     2047,   2049,   16383,
                                         16384, 16385, 262144, 262145, 1000003};
    std::vector<Memory> from;
    std::vector<Memory> to;
    from.reserve(sizes.size());
    to.reserve(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        from.emplace_back(p[0], pattern(sizes[i], i));
        to.emplace_back(p[1], std::vector<std::byte>(sizes[i]));
    }
    const auto post = [&] {
        for (auto i = static_cast<std::uint32_t>(sizes.size()); i-- > 0;)
            p[1].post_recv(0, {1, 3, 0, i}, to[i].whole);
    };
    if (receives_first) post();
    for (std::uint32_t i = 0; i < sizes.size(); ++i)
        REQUIRE(p[0].post_send(1, i % 4, {1, 3, 0, i}, from[i].whole));
    p.turn_for(2ms);
    if (!receives_first) post();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        REQUIRE(p.next(1, Kind::kReceived).has_value());
        REQUIRE(p.next(0, Kind::kSent).has_value());
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) CHECK(to[i].bytes == from[i].bytes);
}

TEST_CASE("tcp: a view of any size is shown whole, and sent only when it is released", "[unit]") {
    const std::size_t size = GENERATE(0, 100, 700001);
    Pair p;
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(size, 1));
    p[1].post_view(0, {1, 0, 0, 0}, size);
    REQUIRE(p[0].post_send(1, 1, {1, 0, 0, 0}, from.whole));
    const auto view = p.next(1, Kind::kReceived);
    REQUIRE(view.has_value());
    CHECK(view->lane == 1);
    REQUIRE(total_size(view->data) == size);
    CHECK((size == 0 || std::memcmp(view->data[0].data, from.bytes.data(), size) == 0));
    p.turn_for(5ms);
    CHECK(p.count(0, Kind::kSent) == 0);
    p[1].release(*view);
    CHECK(p.next(0, Kind::kSent).has_value());
}

TEST_CASE("tcp: a communicator whose receives never come holds up no other", "[unit]") {
    Pair p(1, 1);
    p.begin(head_of(1, 1));
    p.begin(head_of(2, 1));
    Memory big(p[0], pattern(100000, 1));
    Memory small(p[0], pattern(1000, 2));
    std::uint32_t posted = 0;  // of communicator 1, until the lane takes no more of it
    while (posted < 5000 &&
           p[0].post_send(1, 0, {1, 1, 0, posted}, posted % 2 == 0 ? big.whole : small.whole))
        ++posted;
    CHECK(posted < 5000);
    p.turn_for(5ms);
    Memory to(p[1], std::vector<std::byte>(100000));
    Memory short_to(p[1], std::vector<std::byte>(1000));
    for (std::uint32_t i = 0; i < 300; ++i) {
        const bool even = i % 2 == 0;
        p[1].post_recv(0, {1, 2, 0, i}, even ? to.whole : short_to.whole);
        REQUIRE(p[0].post_send(1, 0, {1, 2, 0, i}, even ? big.whole : small.whole));
        REQUIRE(p.next(1, Kind::kReceived).has_value());
        REQUIRE(p.next(0, Kind::kSent).has_value());
    }
    CHECK(to.bytes == big.bytes);
    CHECK(short_to.bytes == small.bytes);
}

TEST_CASE("tcp: what a peer sends early is bounded, and comes when it is asked for", "[unit]") {
    Pair p(2, 4);
    Memory from(p[0], pattern(16384, 1));
    p[0].begin(head_of(0, 1));
    std::uint32_t posted = 0;
    for (std::uint32_t lane = 0; lane < 8; ++lane)
        while (posted < 5000 && p[0].post_send(1, lane, {1, 0, 0, posted}, from.whole)) ++posted;
    CHECK(posted * 16384 > 1'000'000);  // more than may come unasked
    CHECK(posted < 5000);
    p.turn_for(5ms);
    p[1].begin(head_of(0, 1));
    for (std::uint32_t i = 0; i < posted; ++i) {
        Memory to(p[1], std::vector<std::byte>(16384));
        p[1].post_recv(0, {1, 0, 0, i}, to.whole);
        REQUIRE(p.next(1, Kind::kReceived).has_value());
        CHECK(to.bytes == from.bytes);
    }
    for (std::uint32_t i = 0; i < posted; ++i) REQUIRE(p.next(0, Kind::kSent).has_value());
}

TEST_CASE("tcp: another head under the same number is a fault at both ends, whoever is first",
          "[unit]") {
    const std::size_t size = GENERATE(10, 100000);
    const bool late = GENERATE(false, true);
    Pair p;
    Memory from(p[0], pattern(size, 1));
    p[0].begin(head_of(0, 1, 10));
    if (!late) p[1].begin(head_of(0, 1, 11));
    REQUIRE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    p.turn_for(2ms);
    if (late) p[1].begin(head_of(0, 1, 11));
    p[1].post_view(0, {1, 0, 0, 0}, size);
    const auto f = p.fault(1);
    REQUIRE(f.has_value());
    CHECK(f->kind == Fault::Kind::kDisagreement);
    CHECK(f->peer == 0);
    CHECK(f->ours.count == 11);
    CHECK(f->theirs.count == 10);
    CHECK(p.count(1, Kind::kReceived) == 0);
    CHECK(p.count(0, Kind::kSent) == 0);
}

TEST_CASE("tcp: a message of another size is a fault at the receiver", "[unit]") {
    const std::size_t size = GENERATE(10, 100000);
    const bool receive_first = GENERATE(false, true);
    Pair p;
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(size, 1));
    Memory to(p[1], std::vector<std::byte>(size - 1));
    if (receive_first) p[1].post_recv(0, {1, 0, 0, 0}, to.whole);
    REQUIRE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    p.turn_for(2ms);
    if (!receive_first) p[1].post_recv(0, {1, 0, 0, 0}, to.whole);
    const auto f = p.fault(1);
    REQUIRE(f.has_value());
    CHECK(f->kind == Fault::Kind::kWrongSize);
    CHECK(to.bytes == std::vector<std::byte>(size - 1));
}

TEST_CASE("tcp: a lane that is reset gives back what it held, and comes back up", "[unit]") {
    Pair p;
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(300000, 1));
    REQUIRE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    REQUIRE(p[0].post_send(1, 1, {1, 0, 0, 1}, from.whole));
    p.net.break_lane(0, 1, 0);
    const auto down = p.next(0, Kind::kLaneDown);
    REQUIRE(down.has_value());
    CHECK(down->lane == 0);
    const auto lost = p.next(0, Kind::kSendLost);
    REQUIRE(lost.has_value());
    CHECK(lost->key == MessageKey{1, 0, 0, 0});
    CHECK_FALSE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    REQUIRE(p[0].post_send(1, 1, {1, 0, 0, 0}, from.whole));
    Memory to(p[1], std::vector<std::byte>(300000));
    Memory second(p[1], std::vector<std::byte>(300000));
    p[1].post_recv(0, {1, 0, 0, 0}, to.whole);
    p[1].post_recv(0, {1, 0, 0, 1}, second.whole);
    for (int i = 0; i < 2; ++i) {
        REQUIRE(p.next(1, Kind::kReceived).has_value());
        REQUIRE(p.next(0, Kind::kSent).has_value());
    }
    CHECK(to.bytes == from.bytes);
    const auto up = p.next(0, Kind::kLaneUp);
    REQUIRE(up.has_value());
    CHECK(up->lane == 0);
    CHECK(p[0].post_send(1, 0, {1, 0, 0, 2}, from.whole));
    CHECK(p.count(0, Kind::kLaneDown) == 0);
}

/// Sends messages over all lanes again and again until they are through, as the runtime does.
void send_all(Pair& p, std::uint32_t messages, const Memory& from,
              const std::function<void(std::uint32_t done)>& at) {
    const std::size_t size = from.bytes.size();
    std::vector<Memory> to;
    to.reserve(messages);
    std::deque<std::uint32_t> unsent;
    for (std::uint32_t i = 0; i < messages; ++i) {
        to.emplace_back(p[1], std::vector<std::byte>(size));
        p[1].post_recv(0, {1, 0, 0, i}, to[i].whole);
        unsent.push_back(i);
    }
    std::uint32_t received = 0;
    std::uint32_t sent = 0;
    for (std::uint32_t turn = 0; received < messages || sent < messages; ++turn) {
        const auto lanes = static_cast<std::uint32_t>(p[0].lanes(1).size());
        for (std::uint32_t l = 0; l < lanes && !unsent.empty(); ++l)
            if (p[0].post_send(1, (turn + l) % lanes, {1, 0, 0, unsent.front()}, from.whole))
                unsent.pop_front();
        p.turn();
        for (const Completion& c : std::exchange(p.got[0], {})) {
            sent += c.kind == Kind::kSent ? 1 : 0;
            if (c.kind == Kind::kSendLost) unsent.push_back(c.key.sequence);
        }
        for (const Completion& c : std::exchange(p.got[1], {}))
            received += c.kind == Kind::kReceived ? 1 : 0;
        at(received);
    }
    CHECK(received == messages);
    CHECK(sent == messages);
    for (const Memory& m : to) CHECK(m.bytes == from.bytes);
}

TEST_CASE("tcp: a lane cut in mid-message loses no byte and doubles none, then comes back",
          "[unit]") {
    const std::uint32_t who = GENERATE(0U, 1U);  // the end at which it is cut
    Pair p(2, 2);
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(777777, 5));
    bool cut = false;
    Clock::time_point when;
    send_all(p, 40, from, [&](std::uint32_t received) {
        if (cut || received < 3) return;
        cut = true;
        when = Clock::now();
        REQUIRE(p[who].cut_lane(1 - who, 2));
    });
    CHECK(Clock::now() - when >= 100ms);  // it was not known at once, and was waited for
    REQUIRE(p[who].mend_lane(1 - who, 2));
    REQUIRE(p.next(0, Kind::kLaneUp).has_value());
    Memory to(p[1], std::vector<std::byte>(777777));
    p[1].post_recv(0, {1, 0, 1, 0}, to.whole);
    REQUIRE(p[0].post_send(1, 2, {1, 0, 1, 0}, from.whole));
    REQUIRE(p.next(1, Kind::kReceived).has_value());
    CHECK(to.bytes == from.bytes);
}

TEST_CASE("tcp: lanes that are reset over and over lose nothing", "[property]") {
    Pair p(1, 3, {.silence = 150ms, .redial = 20ms});
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(400001, 5));
    RandomStream random{3, 0, "resets"};
    auto next = Clock::now() + 2ms;
    int resets = 0;
    send_all(p, 60, from, [&](std::uint32_t) {
        if (resets >= 20 || Clock::now() < next) return;
        ++resets;
        next = Clock::now() + 2ms;
        p.net.break_lane(0, 1, static_cast<std::uint32_t>(random.below(3)));
    });
}

TEST_CASE("tcp: a peer that is stopped for 200 ms has no dead lane", "[unit]") {
    Pair p(2, 2);
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(500000, 5));
    int stops = 0;
    Clock::time_point until;
    send_all(p, 60, from, [&](std::uint32_t received) {
        if (p.asleep < 0 && stops < 2 && received >= 10U + 20U * static_cast<unsigned>(stops)) {
            p.asleep = stops++;  // first one end, then the other
            until = Clock::now() + 220ms;
        }
        if (p.asleep >= 0 && Clock::now() >= until) p.asleep = -1;
        for (const Completion& c : p.got[0]) REQUIRE(c.kind != Kind::kLaneDown);
    });
    CHECK(stops == 2);
}

TEST_CASE("tcp: what is cancelled touches no memory any more", "[unit]") {
    Pair p(1, 2);
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(20'000'000, 5));
    Memory to(p[1], std::vector<std::byte>(20'000'000));
    p[1].post_recv(0, {1, 0, 0, 0}, to.whole);
    REQUIRE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    while (to.bytes[0] == std::byte{0} && to.bytes[1] == std::byte{0}) p.turn();
    const bool sender = GENERATE(false, true);
    if (sender) {
        p[0].cancel(0, 1);
        std::fill(from.bytes.begin(), from.bytes.end(), std::byte{0});
    }
    p[1].cancel(0, 1);
    std::fill(to.bytes.begin(), to.bytes.end(), std::byte{7});
    p.turn_for(20ms);
    CHECK(std::all_of(to.bytes.begin(), to.bytes.end(),
                      [](std::byte b) { return b == std::byte{7}; }));
    CHECK(p.count(1, Kind::kReceived) == 0);
    // The lane goes on with the next operation.
    if (!sender) p[0].cancel(0, 1);
    p.begin(head_of(0, 2));
    Memory again(p[0], pattern(50000, 6));
    Memory landed(p[1], std::vector<std::byte>(50000));
    p[1].post_recv(0, {2, 0, 0, 0}, landed.whole);
    REQUIRE(p[0].post_send(1, 0, {2, 0, 0, 0}, again.whole));
    REQUIRE(p.next(1, Kind::kReceived).has_value());
    CHECK(landed.bytes == again.bytes);
}

TEST_CASE("tcp: what comes of an operation that is over is acknowledged and dropped", "[unit]") {
    Pair p(1, 1);
    p.begin(head_of(0, 1));
    p[1].end(0, 1);
    Memory from(p[0], pattern(100, 1));
    REQUIRE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    CHECK(p.next(0, Kind::kSent).has_value());
    p[1].begin(head_of(0, 5));
    p[0].end(0, 1);
    p[0].begin(head_of(0, 3));  // skipped by the other
    REQUIRE(p[0].post_send(1, 0, {3, 0, 0, 0}, from.whole));
    CHECK(p.next(0, Kind::kSent).has_value());
}

TEST_CASE("tcp: a sleeper wakes for what comes and for wake()", "[unit]") {
    Pair p(1, 1);
    p.begin(head_of(0, 1));
    Memory from(p[0], pattern(100, 1));
    p.turn_for(5ms);
    std::array<Completion, 4> some;
    while (p[1].poll(some) > 0 || p[0].poll(some) > 0) {
    }
    const auto sleeps = [&](int ms) {
        REQUIRE(p[1].arm());
        pollfd ready{.fd = p[1].fds()[0], .events = POLLIN, .revents = 0};
        const int n = ::poll(&ready, 1, ms);
        p[1].disarm();
        return n == 0;
    };
    CHECK(sleeps(20));
    p[1].wake();
    CHECK_FALSE(sleeps(10000));
    CHECK(p[1].poll(some) == 0);
    p[1].post_view(0, {1, 0, 0, 0}, 100);
    REQUIRE(p[0].post_send(1, 0, {1, 0, 0, 0}, from.whole));
    (void)p[0].poll(some);
    std::size_t n = 0;
    while ((n = p[1].poll(some)) == 0) (void)(p[1].arm() && !sleeps(10000));
    CHECK(some[0].kind == Kind::kReceived);
}

TEST_CASE("tcp: an unreachable peer is an error that names it", "[unit]") {
    FakeNet net(2, 1, 2);
    const auto a = make_tcp_endpoint(net.control(0), {});
    const auto b = make_tcp_endpoint(net.control(1), {});
    net.refuse(true);
    const Status s = a->connect(1, Clock::now() + 30ms);
    REQUIRE_FALSE(s.ok());
    CHECK(s.error().peer == 1);
    CHECK_THAT(s.error().what, Catch::Contains("nobody answers"));
    net.refuse(false);
    CHECK(a->connect(1, soon()).ok());
}

TEST_CASE("tcp: when every lane of a peer is dead for long its operations fail", "[unit]") {
    Pair p(1, 2, {.redial = 20ms, .unreachable = 100ms});
    p.begin(head_of(0, 1));
    p[0].post_view(1, {1, 0, 0, 0}, 10);
    p.net.refuse(true);
    p.net.break_lane(0, 1, 0);
    p.net.break_lane(0, 1, 1);
    const auto f = p.fault(0);
    REQUIRE(f.has_value());
    CHECK(f->kind == Fault::Kind::kUnreachable);
    CHECK(f->peer == 1);
}

// ---- a peer that is played by the test

/// Rank 1 of two, frame by frame; it has opened its lanes to rank 0.
struct Player {
    explicit Player(std::int32_t planes = 2) : net(2, 1, planes) {
        net.control(1).publish(
            "tcp",
            std::vector<std::byte>{
                std::byte{1}, {}, {}, {}, std::byte{1}, {}, {}, {}, {}, std::byte{64}, {}, {}});
        net.control(1).on_connection(Purpose::kTcpLane,
                                     [this](Connection c) { accepted.push_back(c); });
        end = make_tcp_endpoint(net.control(0), {});
        REQUIRE(end->connect(1, soon()).ok());
        for (std::uint32_t l = 0; l < static_cast<std::uint32_t>(planes); ++l) open(l, 1);
    }
    ~Player() {
        for (const Connection& c : accepted) ::close(c.fd);
        for (const int fd : lanes) ::close(fd);
    }
    void open(std::uint32_t lane, std::uint32_t epoch) {
        lanes.push_back(net.control(1)
                            .dial(0, Purpose::kTcpLane, tcp::lane_tag(lane, epoch), 0, 0, soon())
                            .value()
                            .fd);
        epochs.push_back(epoch);
    }
    void say(std::size_t lane, tcp::FrameHeader h, std::span<const std::byte> payload = {}) {
        h.epoch = epochs[lane];
        h.length = static_cast<std::uint32_t>(payload.size());
        std::vector<std::byte> bytes(tcp::kHeaderSize);
        tcp::encode_header(h,
                           std::span<std::byte, tcp::kHeaderSize>(bytes.data(), tcp::kHeaderSize));
        bytes.insert(bytes.end(), payload.begin(), payload.end());
        raw(lane, bytes);
    }
    void raw(std::size_t lane, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(lanes[lane], bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
            if (n < 0 && errno != EAGAIN) return;
            turn();
        }
        turn();
    }
    void turn() {
        std::array<Completion, 8> some;
        const std::size_t n = end->poll(some);
        got.insert(got.end(), some.begin(), some.begin() + static_cast<long>(n));
    }
    /// What rank 0 has said on a lane of ours so far: the frames of one kind.
    std::vector<std::vector<std::byte>> heard(std::size_t lane, tcp::FrameKind kind) {
        for (int i = 0; i < 5; ++i) turn();
        std::array<std::byte, 65536> some;
        ssize_t n = 0;
        auto& all = said[lanes[lane]];
        while ((n = ::recv(lanes[lane], some.data(), some.size(), MSG_DONTWAIT)) > 0)
            all.insert(all.end(), some.begin(), some.begin() + n);
        std::vector<std::vector<std::byte>> payloads;
        for (std::size_t at = 0; at + tcp::kHeaderSize <= all.size();) {
            const auto h = tcp::decode_header(std::span(all).subspan(at));
            REQUIRE(h.has_value());
            at += tcp::kHeaderSize;
            const auto begin = all.begin() + static_cast<long>(at);
            if (h->kind == kind) payloads.emplace_back(begin, begin + h->length);
            at += h->length;
        }
        return payloads;
    }
    std::vector<std::uint64_t> acked(std::size_t lane) {
        std::vector<std::uint64_t> serials;
        for (const auto& payload : heard(lane, tcp::FrameKind::kAck)) {
            const auto some = tcp::parse_acks(payload);
            REQUIRE(some.has_value());
            serials.insert(serials.end(), some->begin(), some->end());
        }
        return serials;
    }
    bool closed(std::size_t lane) {
        for (int i = 0; i < 5; ++i) turn();
        std::byte b{};
        const ssize_t n = ::recv(lanes[lane], &b, 1, MSG_DONTWAIT | MSG_PEEK);
        return n == 0 || (n < 0 && errno != EAGAIN);
    }
    std::size_t received() const {
        return static_cast<std::size_t>(std::count_if(
            got.begin(), got.end(), [](const Completion& c) { return c.kind == Kind::kReceived; }));
    }
    tcp::FrameHeader message(std::uint64_t serial, std::uint64_t size, std::uint64_t offset) const {
        return {.kind = tcp::FrameKind::kMessage,
                .head = head_of(0, 1),
                .stream = 4,
                .sequence = 2,
                .serial = serial,
                .size = size,
                .offset = offset};
    }
    FakeNet net;
    std::vector<Connection> accepted;
    std::vector<int> lanes;
    std::vector<std::uint32_t> epochs;
    std::map<int, std::vector<std::byte>> said;
    std::unique_ptr<Endpoint> end;
    std::vector<Completion> got;
};

TEST_CASE("tcp: a second attempt stops the first, whose rest is dropped", "[unit]") {
    Player p;
    p.end->begin(head_of(0, 1));
    const auto data = pattern(30000, 9);
    const auto wrong = std::vector<std::byte>(30000, std::byte{0xee});
    Memory to(*p.end, std::vector<std::byte>(30000));
    p.end->post_recv(1, {1, 0, 4, 2}, to.whole);
    const auto span = std::span<const std::byte>(data);
    // The frame of the first attempt is half through when the second comes by another lane.
    auto first = p.message(5, 30000, 0);
    first.epoch = 1;
    first.length = 20000;
    std::vector<std::byte> bytes(tcp::kHeaderSize);
    tcp::encode_header(first,
                       std::span<std::byte, tcp::kHeaderSize>(bytes.data(), tcp::kHeaderSize));
    bytes.insert(bytes.end(), wrong.begin(), wrong.begin() + 9000);
    p.raw(0, bytes);
    p.say(1, p.message(6, 30000, 0), span.first(10000));
    p.raw(0, std::span(wrong).first(11000));  // the rest of the frame
    p.say(0, p.message(5, 30000, 20000), std::span(wrong).first(10000));
    CHECK(p.received() == 0);
    p.say(1, p.message(6, 30000, 10000), span.subspan(10000));
    CHECK(p.acked(1) == std::vector<std::uint64_t>{6});
    CHECK(p.received() == 1);
    CHECK(to.bytes == data);
    CHECK(p.acked(0).empty());
}

TEST_CASE("tcp: a message that comes again when it is done is acknowledged again, not delivered",
          "[unit]") {
    Player p;
    p.end->begin(head_of(0, 1));
    const auto data = pattern(1000, 9);
    p.end->post_view(1, {1, 0, 4, 2}, 1000);
    p.say(0, p.message(5, 1000, 0), data);
    CHECK(p.acked(0).empty());
    p.say(1, p.message(6, 1000, 0), data);  // while the view is being looked at
    CHECK(p.acked(1).empty());
    REQUIRE(p.received() == 1);
    p.end->release(p.got.back());
    CHECK(p.acked(1) == std::vector<std::uint64_t>{6});
    p.say(0, p.message(7, 1000, 0), data);
    CHECK(p.acked(0) == std::vector<std::uint64_t>{7});
    CHECK(p.received() == 1);
}

TEST_CASE("tcp: long receives are granted in one frame, and again when the lane dies", "[unit]") {
    Player p;
    p.end->begin(head_of(0, 1));
    Memory to(*p.end, std::vector<std::byte>(100000));
    for (std::uint32_t i = 0; i < 10; ++i) p.end->post_view(1, {1, 0, 4, i}, 100000);
    p.end->post_view(1, {1, 0, 5, 0}, 100);  // short: needs none
    p.turn();
    const std::size_t lane = p.heard(0, tcp::FrameKind::kGrant).empty() ? 1 : 0;
    const auto grants = p.heard(lane, tcp::FrameKind::kGrant);
    REQUIRE(grants.size() == 1);
    const auto entries = tcp::parse_grants(grants[0]);
    REQUIRE(entries.has_value());
    REQUIRE(entries->size() == 10);
    CHECK((*entries)[3] == tcp::GrantEntry{4, 3, 100000});
    ::shutdown(p.lanes[lane], SHUT_RDWR);
    const auto again = p.heard(1 - lane, tcp::FrameKind::kGrant);
    REQUIRE(again.size() == 1);
    CHECK(tcp::parse_grants(again[0])->size() == 10);
}

TEST_CASE("tcp: nonsense ends the lane it came on and no other", "[unit]") {
    const int kind = GENERATE(0, 1, 2, 3, 4, 5);
    Player p;
    p.end->begin(head_of(0, 1));
    const auto data = pattern(20000, 9);
    p.end->post_view(1, {1, 0, 4, 2}, 20000);
    if (kind == 0) p.raw(0, std::vector<std::byte>(500, std::byte{'x'}));
    if (kind == 1) p.say(0, p.message(5, 20000, 1), std::span(data).first(100));  // a gap
    if (kind == 2) p.say(0, {.kind = tcp::FrameKind::kAck});  // goes the other way
    if (kind == 3) p.say(0, {.kind = tcp::FrameKind::kDown, .serial = tcp::lane_tag(77, 1)});
    if (kind == 4) {  // another epoch
        p.epochs[0] = 9;
        p.say(0, {.kind = tcp::FrameKind::kProbe});
    }
    if (kind == 5) {  // long, and nobody has asked for it
        auto h = p.message(5, 200000, 0);
        h.sequence = 77;
        p.say(0, h, data);
    }
    CHECK(p.closed(0));
    CHECK_FALSE(p.closed(1));
    p.say(1, p.message(6, 20000, 0), data);
    CHECK(p.received() == 1);
}

TEST_CASE("tcp: a wrong CRC of a payload is a fault, and the message is not delivered", "[unit]") {
    Player p;
    p.end->begin(head_of(0, 1));
    p.end->post_view(1, {1, 0, 4, 2}, 1000);
    auto h = p.message(5, 1000, 0);
    h.flags = tcp::kVerified;
    h.payload_crc = 1;
    p.say(0, h, pattern(1000, 1));
    const auto f = p.end->fault();
    REQUIRE(f.has_value());
    CHECK(f->kind == Fault::Kind::kCorrupt);
    CHECK(p.received() == 0);
}

TEST_CASE("tcp: a connection of an older attempt is refused, of a newer one taken", "[unit]") {
    Player p;
    p.end->begin(head_of(0, 1));
    p.end->post_view(1, {1, 0, 4, 2}, 10);
    p.open(0, 3);
    p.turn();
    CHECK(p.closed(0));
    p.open(0, 2);
    CHECK(p.closed(3));
    p.say(2, p.message(5, 10, 0), pattern(10, 1));
    CHECK(p.received() == 1);
}

}  // namespace
}  // namespace weft::live
