#pragma once
// What the ranks of an inproc world know of each other besides messages: who is there, which
// operations each has announced, and the first error. One lock, taken once or twice an operation.
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/transport.hpp"

namespace weft::live {

class Board {
  public:
    explicit Board(std::uint32_t ranks) : ranks_(ranks) {}

    void open(std::uint32_t rank);
    [[nodiscard]] bool await_open(std::uint32_t rank, Clock::time_point deadline);
    [[nodiscard]] std::vector<std::uint32_t> not_open() const;

    /// Operation numbers of one rank are announced in increasing order.
    void announce(std::uint32_t rank, const OperationHead& head);
    /// Number of the newest operation announced; 0 = none.
    [[nodiscard]] std::uint64_t newest(std::uint32_t rank) const {
        return ranks_[rank].newest.load(std::memory_order_acquire);
    }
    /// Absent when not announced yet, or so long ago that it was overwritten.
    [[nodiscard]] std::optional<OperationHead> head(std::uint32_t rank,
                                                    std::uint64_t operation) const;

    /// Keeps the first error only.
    void abort(std::uint32_t rank, std::string what);
    [[nodiscard]] bool aborted() const { return aborted_.load(std::memory_order_acquire); }
    [[nodiscard]] Fault abort_fault() const;

  private:
    static constexpr std::size_t kHistory = 256;
    struct Row {
        bool open = false;
        std::atomic<std::uint64_t> newest{0};
        std::array<OperationHead, kHistory> heads{};
    };
    mutable std::mutex mutex_;
    std::condition_variable opened_;
    std::vector<Row> ranks_;
    std::atomic<bool> aborted_{false};
    Fault abort_;
};

}  // namespace weft::live
