#include "collectives/transport/shm/board.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <thread>

#include "collectives/transport/rank_threads.hpp"
#include "tests/support/rank_processes.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using tests::Rank;
using tests::require;
using tests::soon;

constexpr std::uint64_t kDigest = 77;

/// The caller's loop of board.hpp: look, yield, sleep.
struct Waiter {
    Rank& me;
    ShmBoard& board;
    int turns = 0;
    template <class Ready>
    void until(Ready&& ready) {
        const auto deadline = soon();
        for (turns = 0; !ready(); ++turns) {
            require(Clock::now() < deadline, "nothing on the board");
            if (turns < 20) {
                std::this_thread::yield();
                continue;
            }
            board.settle();
            std::array<Completion, 1> none;
            (void)me.endpoint->poll(none);
            if (me.endpoint->arm() && !ready()) wait_readable(me.endpoint->fds(), deadline);
            me.endpoint->disarm();
        }
    }
};

std::uint64_t all_reduce(Waiter& w, std::uint32_t members, std::uint64_t generation,
                         std::span<const std::byte> mine) {
    w.until([&] { return w.board.may_publish(generation); });
    w.board.publish(generation, kDigest, mine);
    std::uint64_t sum = 0;
    for (std::uint32_t m = 0; m < members; ++m) {
        std::span<const std::byte> bytes;
        w.until([&] {
            const auto seen = w.board.look(m, generation, kDigest, bytes);
            require(seen != ShmBoard::Seen::kDisagrees, "they disagree");
            return seen == ShmBoard::Seen::kHere;
        });
        require(bytes.size() == mine.size(), "size");
        for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
            std::uint64_t value = 0;
            std::memcpy(&value, bytes.data() + i, 8);
            sum += value;
        }
    }
    w.board.settle();
    return sum;
}

TEST_CASE("shm board: processes sum what each has published, generation after generation",
          "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    constexpr std::uint32_t kRanks = 3;
    const auto statuses = tests::run_processes(kRanks, [&](std::uint32_t rank) {
        Rank me(id, rank, kRanks);
        std::vector<std::uint32_t> members;
        for (std::uint32_t r = 0; r < kRanks; ++r) {
            members.push_back(r);
            if (r != rank) me.connect(r);
        }
        const auto board = ShmBoard::open(*me.endpoint, 4, members);
        require(board != nullptr, "a place");
        Waiter w{me, *board};
        for (std::uint64_t g = 1; g <= 300; ++g) {
            // From nothing to the most that fits.
            const std::size_t words = g % 10 == 0 ? ShmBoard::kMost / 8 : g % 5;
            const std::vector<std::uint64_t> mine(words, g * (rank + 1));
            const std::uint64_t sum = all_reduce(w, kRanks, g, std::as_bytes(std::span(mine)));
            require(sum == g * words * 6, "sum");
        }
    });
    CHECK(statuses == std::vector<int>(kRanks, 0));
}

struct TwoRanks {
    TwoRanks() {
        const UniqueId id = place.id();
        run_ranks(2, [&](std::uint32_t r) {
            ranks[r] = std::make_unique<Rank>(id, r, 2);
            ranks[r]->connect(1 - r);
        });
    }
    std::unique_ptr<ShmBoard> open(std::uint32_t rank, ContextId context) {
        return ShmBoard::open(*ranks[rank]->endpoint, context, {0, 1});
    }
    tests::MeetingDirectory place;
    std::array<std::unique_ptr<Rank>, 2> ranks;
};

TEST_CASE("shm board: another digest, or a member that is ahead, is seen", "[unit]") {
    TwoRanks two;
    const auto a = two.open(0, 1);
    const auto b = two.open(1, 1);
    const std::array<std::byte, 8> bytes{};
    std::span<const std::byte> seen;
    CHECK(a->look(1, 1, kDigest, seen) == ShmBoard::Seen::kNothing);
    b->publish(1, kDigest, bytes);
    CHECK(a->look(1, 1, kDigest, seen) == ShmBoard::Seen::kHere);
    CHECK(seen.size() == 8);
    CHECK(a->look(1, 1, kDigest + 1, seen) == ShmBoard::Seen::kDisagrees);
    CHECK(a->look(1, 2, kDigest, seen) == ShmBoard::Seen::kNothing);
    b->publish(3, kDigest, bytes);  // has not waited for anybody
    CHECK(a->look(1, 1, kDigest, seen) == ShmBoard::Seen::kDisagrees);
}

TEST_CASE("shm board: nobody may write what a slower member still reads", "[unit]") {
    TwoRanks two;
    const auto a = two.open(0, 1);
    CHECK(a->may_publish(1));
    CHECK(a->may_publish(2));
    CHECK_FALSE(a->may_publish(3));  // the other has not even opened its board
    const auto b = two.open(1, 1);
    CHECK_FALSE(a->may_publish(3));
    b->publish(1, kDigest, {});
    CHECK_FALSE(a->may_publish(3));
    b->publish(2, kDigest, {});
    CHECK(a->may_publish(3));
    CHECK_FALSE(a->may_publish(4));
    b->publish(3, kDigest, {});
    CHECK(a->may_publish(3));
    CHECK(a->may_publish(4));
}

TEST_CASE("shm board: boards of several communicators are apart, and their places are used again",
          "[unit]") {
    TwoRanks two;
    const std::array<std::byte, 1> one{std::byte{1}};
    const std::array<std::byte, 2> other{};
    std::span<const std::byte> seen;
    for (ContextId round = 0; round < 40; ++round) {
        const auto a1 = two.open(0, 2 * round);
        const auto a2 = two.open(0, 2 * round + 1);
        const auto b2 = two.open(1, 2 * round + 1);
        const auto b1 = two.open(1, 2 * round);
        REQUIRE((a1 && a2 && b1 && b2));
        CHECK(a1->look(1, 1, kDigest, seen) == ShmBoard::Seen::kNothing);
        b1->publish(1, kDigest, one);
        b2->publish(1, kDigest, other);
        REQUIRE(a1->look(1, 1, kDigest, seen) == ShmBoard::Seen::kHere);
        CHECK(seen.size() == 1);
        REQUIRE(a2->look(1, 1, kDigest, seen) == ShmBoard::Seen::kHere);
        CHECK(seen.size() == 2);
    }
    std::vector<std::unique_ptr<ShmBoard>> all;
    for (ContextId c = 100; auto board = two.open(0, c); ++c) all.push_back(std::move(board));
    CHECK(all.size() == 16);
}

TEST_CASE("shm board: what was published last is there for a member that comes late", "[unit]") {
    TwoRanks two;
    const std::array<std::byte, 3> three{};
    std::span<const std::byte> seen;
    const auto slow = two.open(0, 1);
    auto quick = two.open(1, 1);
    slow->publish(1, kDigest, three);
    quick->publish(1, kDigest, three);
    quick.reset();  // it has seen all, and ended its communicator
    std::vector<std::unique_ptr<ShmBoard>> others;
    for (ContextId c = 2; c < 17; ++c) others.push_back(two.open(1, c));
    REQUIRE(slow->look(1, 1, kDigest, seen) == ShmBoard::Seen::kHere);
    CHECK(seen.size() == 3);
    CHECK(two.open(1, 17) != nullptr);  // its place is used again, when no other is left
    CHECK(slow->look(1, 2, kDigest, seen) == ShmBoard::Seen::kNothing);
}

TEST_CASE("shm board: windows of two generations, and of several boards, are apart", "[unit]") {
    TwoRanks two;
    std::span<const std::byte> seen;
    const auto a1 = two.open(0, 1);
    const auto a2 = two.open(0, 2);
    const auto b1 = two.open(1, 1);
    const auto b2 = two.open(1, 2);
    const auto fill = [](ShmBoard& board, std::uint64_t generation, int with) {
        std::fill_n(board.window(generation), ShmBoard::kWindow, static_cast<std::byte>(with));
        board.publish(generation, kDigest, {});
    };
    fill(*b1, 1, 1);
    fill(*b1, 2, 2);
    fill(*b2, 1, 3);
    fill(*b2, 2, 4);
    int expected = 0;
    for (ShmBoard* board : {a1.get(), a2.get()})
        for (const std::uint64_t generation : {1U, 2U}) {
            ++expected;
            REQUIRE(board->look(1, generation, kDigest, seen) == ShmBoard::Seen::kHere);
            const std::byte* window = board->window_of(1, generation);
            CHECK(
                std::count(window, window + ShmBoard::kWindow, static_cast<std::byte>(expected)) ==
                std::ptrdiff_t{ShmBoard::kWindow});
        }
}

}  // namespace
}  // namespace weft::live
