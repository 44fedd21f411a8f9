#include "collectives/transport/inproc/board.hpp"

#include <utility>

namespace weft::live {

void Board::open(std::uint32_t rank) {
    const std::lock_guard lock(mutex_);
    WEFT_CHECK(!ranks_[rank].open, "rank {} is opened twice", rank);
    ranks_[rank].open = true;
    opened_.notify_all();
}

bool Board::await_open(std::uint32_t rank, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return opened_.wait_until(lock, deadline, [&] { return ranks_[rank].open; });
}

std::vector<std::uint32_t> Board::not_open() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint32_t> missing;
    for (std::uint32_t r = 0; r < ranks_.size(); ++r)
        if (!ranks_[r].open) missing.push_back(r);
    return missing;
}

void Board::announce(std::uint32_t rank, const OperationHead& head) {
    const std::lock_guard lock(mutex_);
    Row& row = ranks_[rank];
    WEFT_CHECK(head.operation > row.newest.load(std::memory_order_relaxed),
               "operation {} announced out of order", head.operation);
    row.heads[head.operation % kHistory] = head;
    row.newest.store(head.operation, std::memory_order_release);
}

std::optional<OperationHead> Board::head(std::uint32_t rank, std::uint64_t operation) const {
    const std::lock_guard lock(mutex_);
    const OperationHead& found = ranks_[rank].heads[operation % kHistory];
    if (found.operation != operation) return std::nullopt;
    return found;
}

void Board::abort(std::uint32_t rank, std::string what) {
    const std::lock_guard lock(mutex_);
    if (aborted_.load(std::memory_order_relaxed)) return;
    abort_.kind = Fault::Kind::kAborted;
    abort_.peer = rank;
    abort_.what = std::move(what);
    aborted_.store(true, std::memory_order_release);
}

Fault Board::abort_fault() const {
    const std::lock_guard lock(mutex_);
    return abort_;
}

}  // namespace weft::live
