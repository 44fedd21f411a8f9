#pragma once
// What the ranks of an inproc world know of each other besides messages, and Control on it. One
// lock for all, taken twice an operation.
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/control.hpp"

namespace weft::live {

class Board {
  public:
    explicit Board(std::uint32_t ranks) : ranks_(ranks) {}

    void open(std::uint32_t rank);
    void leave(std::uint32_t rank);
    [[nodiscard]] bool await_open(std::uint32_t rank, Clock::time_point deadline);
    [[nodiscard]] std::vector<std::uint32_t> not_open() const;
    [[nodiscard]] std::uint32_t ranks() const { return static_cast<std::uint32_t>(ranks_.size()); }

    /// Operation numbers of one rank and context are begun in increasing order.
    void began(std::uint32_t rank, const OperationHead& head);
    void finished(std::uint32_t rank, ContextId context, std::uint64_t operation);
    void waits_for(std::uint32_t rank, ContextId context, const std::string& what);
    /// Absent when not begun yet, or so long ago that it was overwritten.
    [[nodiscard]] std::optional<OperationHead> head(std::uint32_t rank, ContextId context,
                                                    std::uint64_t operation) const;

    void raise(const Alarm& alarm);
    [[nodiscard]] std::uint64_t alarms() const { return count_.load(std::memory_order_acquire); }
    [[nodiscard]] std::optional<Alarm> alarm(ContextId context,
                                             std::span<const std::uint32_t> members) const;
    void on_alarm(std::uint32_t rank, std::function<void()> wake);

    void compare(std::uint32_t rank, const OperationHead& head,
                 std::span<const std::uint32_t> members);
    [[nodiscard]] std::vector<Absent> absent(const OperationHead& head,
                                             std::span<const std::uint32_t> members) const;

  private:
    static constexpr std::size_t kHistory = 256;
    struct History {
        std::uint64_t newest = 0;
        std::uint64_t finished = 0;
        Clock::time_point since;
        std::string waits_for;
        std::array<OperationHead, kHistory> heads{};
    };
    struct Row {
        bool open = false;
        bool left = false;
        Clock::time_point opened;
        std::map<ContextId, History> contexts;
        std::function<void()> wake;
    };
    [[nodiscard]] Absent whereabouts(std::uint32_t rank, ContextId context) const;

    mutable std::mutex mutex_;
    std::condition_variable opened_;
    std::vector<Row> ranks_;
    std::vector<Alarm> alarms_;
    std::atomic<std::uint64_t> count_{0};
};

/// One rank's view of a board, which outlives it.
[[nodiscard]] std::unique_ptr<Control> control_on(Board& board, std::uint32_t rank);

}  // namespace weft::live
