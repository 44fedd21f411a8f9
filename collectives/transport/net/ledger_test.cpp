#include "collectives/transport/net/ledger.hpp"

#include <catch2/catch.hpp>
#include <thread>

namespace {

using namespace weft::live;
using namespace weft::live::net;

OperationHead head_of(std::uint64_t operation, ContextId context = 0, std::uint64_t plan = 1) {
    OperationHead h;
    h.operation = operation;
    h.context = context;
    h.plan_hash = plan;
    return h;
}

TEST_CASE("the last 256 operations of a communicator are remembered", "[unit]") {
    Ledger ledger;
    for (std::uint64_t op = 1; op <= 1000; ++op) {
        CHECK_FALSE(ledger.began(head_of(op, 4, op)));
        ledger.finished(4, op);
    }
    for (std::uint64_t op = 745; op <= 1000; ++op) {
        const Standing s = ledger.standing(4, op);
        CHECK(s.state == Standing::State::kBegun);
        CHECK(s.head == head_of(op, 4, op));
        CHECK_FALSE(s.busy);
    }
    CHECK(ledger.standing(4, 744).state == Standing::State::kForgotten);
    const Standing next = ledger.standing(4, 1001);
    CHECK(next.state == Standing::State::kNotBegun);
    CHECK_FALSE(next.busy);
    CHECK(next.head == head_of(1000, 4, 1000));
    CHECK(ledger.newest() == std::vector<std::pair<ContextId, std::uint64_t>>{{4, 1000}});
}

TEST_CASE("a rank in another operation says in which, and what it waits for", "[unit]") {
    Ledger ledger;
    CHECK_FALSE(ledger.began(head_of(5, 9)));
    ledger.waits_for(9, "rank 3");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the clock is a coarse one
    CHECK_FALSE(ledger.began(head_of(1, 2)));
    Standing s = ledger.ask(head_of(2, 2), 7);
    CHECK(s.state == Standing::State::kNotBegun);
    CHECK(s.busy);
    CHECK(s.head == head_of(5, 9));  // the oldest: the others may wait for that one
    CHECK(s.where == "rank 3");
    ledger.finished(9, 5);
    s = ledger.standing(2, 2);
    CHECK(s.head == head_of(1, 2));
    ledger.finished(2, 1);
    CHECK_FALSE(ledger.standing(2, 2).busy);
}

TEST_CASE("idle is who has been in no operation of any communicator", "[unit]") {
    Ledger ledger;
    ledger.began(head_of(1, 0));
    ledger.finished(0, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ledger.began(head_of(1, 1));
    ledger.finished(1, 1);
    // Looked at earlier, so not longer ago, if both mean the same moment.
    const double first = ledger.standing(0, 2).seconds;
    CHECK(first <= ledger.standing(1, 2).seconds);
    CHECK(ledger.pages().size() == 2);
    static_cast<void>(ledger.ask(head_of(5, 2), 3));
    CHECK(ledger.pages().size() == 2);
}

TEST_CASE("an operation that was asked about is compared when it begins", "[unit]") {
    Ledger ledger;
    CHECK(ledger.ask(head_of(3, 1, 10), 6).state == Standing::State::kNotBegun);
    CHECK_FALSE(ledger.began(head_of(2, 1, 99)));
    SECTION("the same") {
        CHECK_FALSE(ledger.began(head_of(3, 1, 10)));
    }
    SECTION("another") {
        const auto e = ledger.began(head_of(3, 1, 11));
        REQUIRE(e);
        CHECK(e->asker == 6);
        CHECK(e->head == head_of(3, 1, 10));
    }
    CHECK_FALSE(ledger.began(head_of(4, 1, 12)));
}

TEST_CASE("askers and workers may use one ledger at once", "[unit]") {
    Ledger ledger;
    std::thread asker([&] {
        for (std::uint64_t i = 1; i < 2'000; ++i) {
            const Standing s = ledger.ask(head_of(i), 1);
            if (s.state == Standing::State::kBegun && s.head != head_of(i)) std::abort();
        }
    });
    for (std::uint64_t i = 1; i < 2'000; ++i) {
        if (ledger.began(head_of(i))) std::abort();
        ledger.finished(0, i);
    }
    asker.join();
    CHECK(ledger.standing(0, 1'999).state == Standing::State::kBegun);
}

}  // namespace
