#include "collectives/transport/net/ledger.hpp"

#include <algorithm>
#include <thread>
#include <time.h>
#include <utility>

namespace weft::live::net {

namespace {

// Some milliseconds coarse, and cheap: read for every operation, compared with seconds.
std::int64_t coarse_now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

double seconds_since(std::int64_t then) {
    return static_cast<double>(std::max<std::int64_t>(coarse_now() - then, 0)) * 1e-9;
}

}  // namespace

// Its holder may lose its core, so who waits gives way before long.
class Ledger::Lock {
  public:
    explicit Lock(std::atomic_flag& flag) : flag_(flag) {
        for (int i = 0; flag_.test_and_set(std::memory_order_acquire); ++i)
            if (i > 100) std::this_thread::yield();
    }
    ~Lock() { flag_.clear(std::memory_order_release); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

  private:
    std::atomic_flag& flag_;
};

const Ledger::Book* Ledger::find(ContextId context) const {
    if (last_ != nullptr && last_->context == context) return last_;
    const auto at = std::lower_bound(books_.begin(), books_.end(), context,
                                     [](const auto& b, ContextId c) { return b->context < c; });
    return at != books_.end() && (*at)->context == context ? at->get() : nullptr;
}

Ledger::Book& Ledger::book(ContextId context) {
    if (const Book* found = find(context)) return *(last_ = const_cast<Book*>(found));
    const auto at = std::lower_bound(books_.begin(), books_.end(), context,
                                     [](const auto& b, ContextId c) { return b->context < c; });
    auto fresh = std::make_unique<Book>();
    fresh->context = context;
    fresh->idle_since = coarse_now();
    return *(last_ = books_.insert(at, std::move(fresh))->get());
}

void Ledger::grow(Book& book) {
    std::vector<Row> rows(book.rows.size() * 2);
    for (const Row& row : book.rows) rows[row.head.operation % rows.size()] = row;
    book.rows = std::move(rows);
}

std::optional<Expectation> Ledger::began(const OperationHead& head) {
    const Ticks now = coarse_now();
    const Lock lock(busy_);
    Book& b = book(head.context);
    while (b.row(head.operation).head.operation != 0 && b.rows.size() < kHistory) grow(b);
    Row& row = b.row(head.operation);
    if (!row.busy) ++b.busy;
    row = {head, now, true};
    b.newest = std::max(b.newest, head.operation);
    if (b.expected.empty()) [[likely]]
        return std::nullopt;
    std::optional<Expectation> out;
    for (const Expectation& e : b.expected)
        if (e.head.operation == head.operation && e.head != head) out = e;
    std::erase_if(b.expected,
                  [&](const Expectation& e) { return e.head.operation <= head.operation; });
    return out;
}

void Ledger::finished(ContextId context, std::uint64_t operation) {
    const Ticks now = coarse_now();
    const Lock lock(busy_);
    Book& b = book(context);
    Row& row = b.row(operation);
    if (row.head.operation != operation || !row.busy) return;
    row.busy = false;
    --b.busy;
    b.idle_since = now;
}

void Ledger::waits_for(ContextId context, std::string what) {
    const Lock lock(busy_);
    std::swap(book(context).where, what);  // what it was is freed after the lock
}

// The oldest operation that is going on, in whatever communicator; else the last one of this.
Standing Ledger::instead(const Book* book) const {
    Standing out;
    const Row* oldest = nullptr;
    for (const auto& b : books_) {
        if (b->busy == 0) continue;
        for (const Row& row : b->rows) {
            if (!row.busy || (oldest != nullptr && oldest->since <= row.since)) continue;
            oldest = &row;
            out.where = b->where;
        }
    }
    out.busy = oldest != nullptr;
    if (out.busy) {
        out.head = oldest->head;
        out.seconds = seconds_since(oldest->since);
        return out;
    }
    if (book != nullptr) out.head = book->row(book->newest).head;
    // Since the last one ended, whatever communicator it was of; or since it was first asked.
    Ticks idle_since = 0;
    for (const auto& b : books_)
        if (b->newest != 0) idle_since = std::max(idle_since, b->idle_since);
    if (idle_since == 0 && book != nullptr) idle_since = book->idle_since;
    if (idle_since != 0) out.seconds = seconds_since(idle_since);
    return out;
}

Standing Ledger::look(ContextId context, std::uint64_t operation) const {
    const Book* b = find(context);
    if (b == nullptr) return instead(nullptr);
    const Row& row = b->row(operation);
    if (row.head.operation == operation && operation != 0) {
        Standing out;
        out.state = Standing::State::kBegun;
        out.head = row.head;
        out.busy = row.busy;
        out.seconds = seconds_since(row.since);
        out.where = b->where;
        return out;
    }
    Standing out = instead(b);
    if (row.head.operation > operation) out.state = Standing::State::kForgotten;
    return out;
}

Standing Ledger::standing(ContextId context, std::uint64_t operation) const {
    const Lock lock(busy_);
    return look(context, operation);
}

Standing Ledger::ask(const OperationHead& head, std::uint32_t asker) {
    const Lock lock(busy_);
    Standing out = look(head.context, head.operation);
    if (out.state != Standing::State::kNotBegun) return out;
    std::vector<Expectation>& expected = book(head.context).expected;
    const bool known = std::any_of(expected.begin(), expected.end(),
                                   [&](const Expectation& e) { return e.head == head; });
    if (!known && expected.size() < kMaxExpected) expected.push_back({head, asker});
    return out;
}

std::vector<std::pair<ContextId, std::uint64_t>> Ledger::newest() const {
    const Lock lock(busy_);
    std::vector<std::pair<ContextId, std::uint64_t>> out;
    for (const auto& b : books_) out.emplace_back(b->context, b->newest);
    return out;
}

std::vector<Page> Ledger::pages() const {
    const Lock lock(busy_);
    std::vector<Page> out;
    for (const auto& b : books_) {
        if (b->newest == 0) continue;  // others have asked about it
        Page page{.context = b->context, .newest = b->newest, .under_way = {}, .where = b->where};
        if (b->busy == 0) page.idle_seconds = seconds_since(b->idle_since);
        for (const Row& row : b->rows) {
            if (row.head.operation == 0) continue;
            if (row.busy)
                page.under_way.emplace_back(row.head, seconds_since(row.since));
            else
                page.finished = std::max(page.finished, row.head.operation);
        }
        std::sort(page.under_way.begin(), page.under_way.end(), [](const auto& x, const auto& y) {
            return x.first.operation < y.first.operation;
        });
        out.push_back(std::move(page));
    }
    return out;
}

}  // namespace weft::live::net
