#pragma once
// What this rank has begun and finished: for each communicator the heads of its last 256
// operations. Written for every operation, read when somebody asks. One spin lock, held for some
// nanoseconds (a copied head; allocations only while a communicator is young), no system call.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectives/transport/message.hpp"

namespace weft::live::net {

/// What has become of an operation at this rank.
struct Standing {
    enum class State : std::uint8_t {
        kBegun,      // `head` is how it began; it may be over
        kNotBegun,   // `head` is what this rank does instead, if `busy`, or did last
        kForgotten,  // begun so long ago that its head is not kept any more
    };
    State state = State::kNotBegun;
    OperationHead head;
    bool busy = false;
    double seconds = 0;  // since the head began, or, not busy, since the last one finished
    std::string where;   // busy: what it waits for
};

/// An operation that another rank has begun and asked about, and this rank has not begun yet.
struct Expectation {
    OperationHead head;
    std::uint32_t asker = 0;
};

/// Where one communicator stands here.
struct Page {
    ContextId context = 0;
    std::uint64_t newest = 0;
    std::uint64_t finished = 0;                               // newest that has; 0: none
    double idle_seconds = 0;                                  // since then, if none is under way
    std::vector<std::pair<OperationHead, double>> under_way;  // with the seconds since they began
    std::string where;                                        // what the first of them waits for
};

class Ledger {
  public:
    /// What was expected of the operation, if it was and with another head.
    std::optional<Expectation> began(const OperationHead& head);
    void finished(ContextId context, std::uint64_t operation);
    void waits_for(ContextId context, std::string what);

    [[nodiscard]] Standing standing(ContextId context, std::uint64_t operation) const;
    /// What this rank has to say about an operation that `asker` has begun; if it has not begun, it
    /// is expected from now on.
    [[nodiscard]] Standing ask(const OperationHead& head, std::uint32_t asker);
    /// The newest operation of each communicator.
    [[nodiscard]] std::vector<std::pair<ContextId, std::uint64_t>> newest() const;

    /// All communicators.
    [[nodiscard]] std::vector<Page> pages() const;

  private:
    static constexpr std::size_t kHistory = 256;
    static constexpr std::size_t kMaxExpected = 64;
    using Ticks = std::int64_t;  // nanoseconds of the coarse clock
    struct Row {
        OperationHead head;
        Ticks since = 0;
        bool busy = false;
    };
    struct Book {
        ContextId context = 0;
        std::uint64_t newest = 0;
        std::uint32_t busy = 0;
        Ticks idle_since = 0;
        std::vector<Row> rows = std::vector<Row>(4);  // grows to kHistory as operations come
        [[nodiscard]] Row& row(std::uint64_t operation) { return rows[operation % rows.size()]; }
        [[nodiscard]] const Row& row(std::uint64_t operation) const {
            return rows[operation % rows.size()];
        }
        std::string where;
        std::vector<Expectation> expected;
    };
    class Lock;

    static void grow(Book& book);
    [[nodiscard]] Book& book(ContextId context);
    [[nodiscard]] const Book* find(ContextId context) const;
    [[nodiscard]] Standing look(ContextId context, std::uint64_t operation) const;
    [[nodiscard]] Standing instead(const Book* book) const;

    mutable std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
    std::vector<std::unique_ptr<Book>> books_;
    Book* last_ = nullptr;
};

}  // namespace weft::live::net
