#pragma once
// Where one thread waits for many: a counter that is rung, spun on for a short while, then slept
// on. Cost of ring(): one atomic addition, and a lock only when the waiter sleeps.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace weft::live {

class Doorbell {
  public:
    /// How long a waiter stays awake: checks of the counter, then offers of the core to others.
    struct Patience {
        int checks = 0;
        int yields = 0;
    };

    void ring() {
        count_.fetch_add(1, std::memory_order_seq_cst);
        // Either this sees the sleeper, or the sleeper, who looks at the counter after saying so,
        // sees the addition.
        if (!asleep_.load(std::memory_order_seq_cst)) return;
        const std::lock_guard lock(mutex_);
        bell_.notify_one();
    }
    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_acquire); }

    /// Returns when the counter differs from `seen` or at `until`.
    void wait(std::uint64_t seen, std::chrono::steady_clock::time_point until, Patience patience) {
        for (int i = 0; i < patience.checks; ++i) {
            if (count() != seen) return;
            relax();
        }
        for (int i = 0; i < patience.yields; ++i) {
            if (count() != seen) return;
            std::this_thread::yield();
        }
        asleep_.store(true, std::memory_order_seq_cst);
        {
            std::unique_lock lock(mutex_);
            bell_.wait_until(lock, until, [&] { return count_.load() != seen; });
        }
        asleep_.store(false, std::memory_order_relaxed);
    }

  private:
    static void relax() {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }

    alignas(64) std::atomic<std::uint64_t> count_{0};
    alignas(64) std::atomic<bool> asleep_{false};
    std::mutex mutex_;
    std::condition_variable bell_;
};

}  // namespace weft::live
