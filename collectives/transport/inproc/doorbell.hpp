#pragma once
// Where one thread waits for many: a counter that is rung, looked at while awake and slept on
// through an eventfd. Cost of ring(): one atomic addition, and a system call only when the waiter
// sleeps.
#include <atomic>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.hpp"

namespace weft::live {

class Doorbell {
  public:
    Doorbell() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        WEFT_CHECK(fd_ >= 0, "eventfd: errno {}", errno);
    }
    ~Doorbell() { ::close(fd_); }
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;

    void ring() {
        count_.fetch_add(1, std::memory_order_seq_cst);
        // Either this sees the sleeper, or the sleeper, who looks at the counter after saying so,
        // sees the addition.
        if (!asleep_.load(std::memory_order_seq_cst)) return;
        const std::uint64_t one = 1;
        // Full means rung already.
        [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
    }
    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_acquire); }

    /// From now on ring() makes fd() readable. False: it has been rung since `seen`.
    [[nodiscard]] bool arm(std::uint64_t seen) {
        asleep_.store(true, std::memory_order_seq_cst);
        return count_.load(std::memory_order_seq_cst) == seen;
    }
    void disarm() {
        asleep_.store(false, std::memory_order_relaxed);
        std::uint64_t rung = 0;
        [[maybe_unused]] const auto got = ::read(fd_, &rung, sizeof rung);
    }
    [[nodiscard]] const int& fd() const { return fd_; }

  private:
    alignas(64) std::atomic<std::uint64_t> count_{0};
    alignas(64) std::atomic<bool> asleep_{false};
    int fd_;
};

}  // namespace weft::live
