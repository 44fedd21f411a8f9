// What a tcp endpoint decides without a socket: its lanes, how much they hold, which are dead.
#include <catch2/catch.hpp>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "collectives/transport/tcp/card.hpp"
#include "collectives/transport/tcp/health.hpp"
#include "collectives/transport/tcp/link_watch.hpp"
#include "collectives/transport/tcp/window.hpp"

namespace weft::live::tcp {
namespace {

using namespace std::chrono_literals;

Port port(std::int32_t rail, std::int32_t plane, const std::string& address = "10.0.0.1") {
    return {.interface = "", .address = address, .rail = rail, .plane = plane};
}

TEST_CASE("both ends derive the same lanes, with the ports swapped", "[unit]") {
    const std::vector<Port> a{port(0, 0), port(0, 1), port(1, 0), port(1, 1)};
    const std::vector<Port> b{port(1, 1), port(1, 0), port(0, 0), port(0, 1), port(7, 7)};
    const auto from_a = derive_lanes(3, a, 5, b, 2);
    const auto from_b = derive_lanes(5, b, 3, a, 2);
    REQUIRE(from_a.size() == 8);
    REQUIRE(from_b.size() == 8);
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(from_a[i].local_port == from_b[i].remote_port);
        CHECK(from_a[i].remote_port == from_b[i].local_port);
        CHECK(from_a[i].rail == from_b[i].rail);
        CHECK(from_a[i].plane == from_b[i].plane);
        CHECK(from_a[i].path == i % 2);
        CHECK(from_a[i].rail == static_cast<std::int32_t>(i / 4));
        CHECK(from_a[i].plane == static_cast<std::int32_t>(i / 2 % 2));
    }
}

TEST_CASE("ports without a match are paired in order, families of addresses never mixed",
          "[unit]") {
    const std::vector<Port> a{port(0, 0), port(0, 1), port(0, 2, "fd00::1")};
    const std::vector<Port> b{port(5, 5)};
    const auto lanes = derive_lanes(0, a, 1, b, 1);
    REQUIRE(lanes.size() == 2);
    CHECK(lanes[1].local_port == 1);
    CHECK(lanes[1].remote_port == 0);
    CHECK(derive_lanes(0, {}, 1, b, 1).empty());
    CHECK(derive_lanes(0, std::vector{port(0, 0, "fd00::1")}, 1, b, 1).empty());
}

TEST_CASE("a card comes back as it went, and nonsense does not", "[unit]") {
    const Card card{.paths = 4, .eager = 16384};
    CHECK(parse_card(encode_card(card)) == card);
    CHECK_FALSE(parse_card({}).has_value());
    CHECK_FALSE(parse_card(encode_card({.paths = 0, .eager = 1})).has_value());
    CHECK_FALSE(parse_card(encode_card({.paths = 1, .eager = kMostEager + 1})).has_value());
}

/// A path with a rate and a queue: what is written comes out, and is confirmed, later.
struct Path {
    SendWindow window;
    Clock::time_point now{1h};
    std::uint64_t written = 0;
    double delivered = 0;
    std::uint64_t most_queued = 0;
    /// `pause`: the sender looks only at the end of each 100 ms, and says nothing in the others.
    void run(std::chrono::milliseconds time, double bytes_per_ms,
             std::chrono::milliseconds pause = 0ms) {
        for (auto end = now + time; now < end; now += 1ms) {
            const bool looks = now.time_since_epoch() % 100ms >= pause;
            const std::uint64_t room = looks ? window.room() : 0;
            if (room > 0) window.wrote(room, now);
            written += room;
            delivered = std::min(static_cast<double>(written), delivered + bytes_per_ms);
            if (!looks) continue;
            most_queued = std::max(most_queued, written - static_cast<std::uint64_t>(delivered));
            REQUIRE(window.confirmed(static_cast<std::uint64_t>(delivered), now));
        }
    }
};

TEST_CASE("a lane's window fills the path and holds no more than some milliseconds", "[unit]") {
    for (const double rate : {12'500.0, 31'250.0, 1'250'000.0}) {  // 100 Mb/s to 10 Gb/s
        Path path;
        path.window.round_trip(1ms);
        path.run(300ms, rate);
        const double before = path.delivered;
        path.most_queued = 0;
        path.run(500ms, rate);
        CHECK((path.delivered - before) / 500 >= 0.99 * rate);
        CHECK(static_cast<double>(path.most_queued) <= std::max(30.0 * rate, 131072.0 + rate));
    }
}

TEST_CASE("a window that knows of pauses keeps the path busy through them", "[unit]") {
    Path path;
    path.window.pauses(60ms);
    path.run(500ms, 31'250, 60ms);
    const double before = path.delivered;
    path.run(500ms, 31'250, 60ms);
    CHECK((path.delivered - before) / 500 >= 0.98 * 31'250);
}

TEST_CASE("a lane that slows down soon holds less", "[unit]") {
    Path path;
    path.run(300ms, 31'250);
    path.run(600ms, 3'125);
    CHECK(path.window.limit() == SendWindow::kLeast);
}

TEST_CASE("a confirmation of more than was written is refused", "[unit]") {
    SendWindow window;
    window.wrote(10, Clock::now());
    CHECK_FALSE(window.confirmed(11, Clock::now()));
}

/// Lanes of one peer; each tick says which of them were heard.
struct Lanes {
    Judge judge{150ms};
    std::vector<Pulse> pulses;
    explicit Lanes(std::size_t n) : pulses(n) {}
    /// Which are dead afterwards.
    std::vector<std::size_t> tick(const std::vector<bool>& heard) {
        std::vector<Pulse*> all;
        for (std::size_t i = 0; i < pulses.size(); ++i) {
            if (heard[i]) pulses[i].hear();
            all.push_back(&pulses[i]);
        }
        judge.tick(all);
        std::vector<std::size_t> dead;
        for (std::size_t i = 0; i < pulses.size(); ++i) {
            if (judge.dead(pulses[i])) dead.push_back(i);
            if (!pulses[i].heard) pulses[i].asked = true;
            pulses[i].heard = false;
        }
        return dead;
    }
};

TEST_CASE("a lane that is silent while another answers is dead within 200 ms", "[unit]") {
    Lanes lanes(2);
    (void)lanes.tick({true, true});
    int ticks = 0;
    while (lanes.tick({true, false}).empty()) REQUIRE(++ticks < 100);
    CHECK(ticks * kTick <= 160ms);
    CHECK(ticks * kTick >= 140ms);
}

TEST_CASE("a peer that is silent on all lanes has no dead lane, and none when it comes back",
          "[unit]") {
    Lanes lanes(3);
    (void)lanes.tick({true, true, true});
    for (int i = 0; i < 1000; ++i) CHECK(lanes.tick({false, false, false}).empty());
    CHECK(lanes.tick({true, false, false}).empty());
    CHECK(lanes.tick({true, true, false}).empty());
    CHECK(lanes.tick({true, true, true}).empty());
}

TEST_CASE("a lane whose answers are slow has the patience of three of its round trips", "[unit]") {
    Lanes lanes(2);
    lanes.pulses[1].answered(150ms);
    int ticks = 0;
    while (lanes.tick({true, false}).empty()) REQUIRE(++ticks < 100);
    CHECK(ticks * kTick >= 430ms);
}

TEST_CASE("a lane heard every 120 ms is never dead", "[unit]") {
    Lanes lanes(2);
    for (int i = 0; i < 1200; ++i) CHECK(lanes.tick({true, i % 12 == 0}).empty());
}

TEST_CASE("a change of carrier is read from the kernel's message, garbage is not", "[unit]") {
    std::vector<std::byte> bytes(NLMSG_SPACE(sizeof(ifinfomsg)));
    nlmsghdr header{};
    header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
    header.nlmsg_type = RTM_NEWLINK;
    ifinfomsg info{};
    info.ifi_index = 7;
    info.ifi_flags = IFF_UP;
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + NLMSG_HDRLEN, &info, sizeof info);
    CHECK(parse_link_changes(bytes) == std::vector<LinkChange>{{7, false}});
    info.ifi_flags = IFF_UP | IFF_RUNNING;
    std::memcpy(bytes.data() + NLMSG_HDRLEN, &info, sizeof info);
    CHECK(parse_link_changes(bytes) == std::vector<LinkChange>{{7, true}});
    for (std::size_t size = 0; size < header.nlmsg_len; ++size)
        CHECK(parse_link_changes(std::span(bytes).first(size)).empty());
    header.nlmsg_len = 3;
    std::memcpy(bytes.data(), &header, sizeof header);
    CHECK(parse_link_changes(bytes).empty());
}

}  // namespace
}  // namespace weft::live::tcp
