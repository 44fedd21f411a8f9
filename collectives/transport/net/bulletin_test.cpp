#include "collectives/transport/net/bulletin.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace weft::live;
using namespace weft::live::net;
using std::chrono::milliseconds;

OperationHead head_of(std::uint64_t operation) {
    OperationHead h;
    h.operation = operation;
    h.plan_hash = 77;
    h.root = 3;
    return h;
}

Answer late(std::uint32_t rank, std::uint64_t operation) {
    return {.operation = operation, .rank = rank, .why = Absent::Why::kLate, .milliseconds = 500};
}

TEST_CASE("answers hold for their round", "[unit]") {
    Bulletin board(milliseconds(50));
    const Inquiry q{head_of(4), {{0, 8}}};
    const auto t = Clock::now();
    CHECK_FALSE(board.absent(q, 2, t));
    CHECK(board.ask(q, t, milliseconds(100)));
    CHECK_FALSE(board.ask(q, t + milliseconds(99), milliseconds(100)));
    CHECK_FALSE(board.due(q, t + milliseconds(99), milliseconds(100)));
    board.answer(2, late(2, 4), t + milliseconds(5));
    const auto a = board.absent(q, 2, t + milliseconds(1'005));
    REQUIRE(a);
    CHECK(a->why == Absent::Why::kLate);
    CHECK(a->seconds == Approx(1.5));
    // The next round: the old answer holds until new ones can have come.
    const auto u = t + milliseconds(2'000);
    CHECK(board.ask(q, u, milliseconds(100)));
    CHECK(board.absent(q, 2, u + milliseconds(10)));
    CHECK_FALSE(board.absent(q, 2, u + milliseconds(60)));
    // Another operation, another group.
    CHECK_FALSE(board.absent({head_of(5), {{0, 8}}}, 2, u));
    CHECK(board.due({head_of(4), {{0, 7}}}, u, milliseconds(100)));
}

TEST_CASE("a rank's own word counts more than its neighbours'", "[unit]") {
    Bulletin board;
    const Inquiry q{head_of(4), {{0, 8}}};
    const auto t = Clock::now();
    CHECK(board.ask(q, t, {}));
    board.answer(1, {.operation = 4, .rank = 2, .why = Absent::Why::kSilent}, t);
    REQUIRE(board.absent(q, 2, t));
    CHECK(board.absent(q, 2, t)->why == Absent::Why::kSilent);
    board.answer(2, {.operation = 4, .rank = 2, .present = true}, t);
    CHECK_FALSE(board.absent(q, 2, t));
}

TEST_CASE("who has left cannot be lost any more", "[unit]") {
    Bulletin board;
    const std::uint32_t members[] = {1, 2};
    CHECK(board.record(2, Farewell{{{0, 4}}}));
    CHECK_FALSE(board.record(2, Farewell{}));
    CHECK_FALSE(board.record({.kind = Alarm::Kind::kRankLost, .rank = 2}));
    CHECK(board.gone(2));
    CHECK(board.count() == 0);
    CHECK_FALSE(board.alarm(0, members));
    const auto now = Clock::now();
    CHECK_FALSE(board.absent({head_of(4), {{0, 8}}}, 2, now));  // it had begun that
    REQUIRE(board.absent({head_of(5), {{0, 8}}}, 2, now));
    CHECK(board.absent({head_of(5), {{0, 8}}}, 2, now)->why == Absent::Why::kLeft);
    CHECK(board.record({.kind = Alarm::Kind::kRankLost, .rank = 1}));
    CHECK(board.alarm(3, members)->rank == 1);
}

TEST_CASE("rumours come out as they went in, and only whole", "[unit]") {
    const Rumour::Body bodies[] = {
        Alarm{Alarm::Kind::kDisagreement, 3, 1, 2, head_of(1), head_of(2), "why"},
        Inquiry{head_of(9), {{0, 4}, {6, 2}}},
        Answer{.context = 1, .operation = 9, .rank = 7, .head = head_of(3), .where = "there"},
        Farewell{{{0, 1}, {5, 6}}},
        CensusWord{.context = 3,
                   .generation = 1,
                   .present = true,
                   .ballot = (4ULL << 32) | 2,
                   .accepted = (3ULL << 32) | 1,
                   .members = {{0, 3}, {6, 2}},
                   .dead = {{0, 1}},
                   .list = {{1, 2}, {6, 2}}}};
    for (const auto& body : bodies) {
        auto bytes = encode(Rumour{5, 17, body});
        const auto rumour = parse_rumour(bytes, 8);
        REQUIRE(rumour);
        CHECK(rumour->origin == 5);
        CHECK(rumour->body == body);
        CHECK_FALSE(parse_rumour(bytes, 5));  // there is no rank 5 of 5
        for (std::size_t n = 0; n < bytes.size(); ++n)
            CHECK_FALSE(parse_rumour(ByteSpan(bytes).first(n), 8));
        bytes.push_back({});
        CHECK_FALSE(parse_rumour(bytes, 8));
    }
}

TEST_CASE("members are carried as ranges", "[unit]") {
    const std::uint32_t members[] = {4, 0, 1, 9, 2, 1};
    const Ranges ranges = ranges_of(members);
    CHECK(ranges == Ranges{{0, 3}, {4, 1}, {9, 1}});
    for (std::uint32_t r = 0; r < 12; ++r)
        CHECK(contains(ranges, r) == (r <= 2 || r == 4 || r == 9));
}

TEST_CASE("a sequence number is new once, in whatever order they come", "[unit]") {
    SeenWindow seen;
    CHECK(seen.first_time(3));
    CHECK(seen.first_time(1));
    CHECK_FALSE(seen.first_time(3));
    CHECK_FALSE(seen.first_time(1));
    CHECK(seen.first_time(2));
    CHECK(seen.first_time(1'000));
    CHECK_FALSE(seen.first_time(4));  // too old to tell
    CHECK(seen.first_time(999));
    CHECK_FALSE(seen.first_time(999));
}

}  // namespace
