#pragma once
// What other threads bring to an endpoint: queue pairs, made or not. Ringing makes `fd` readable.
#include <atomic>
#include <mutex>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "collectives/transport/verbs/introducer.hpp"

namespace weft::live::verbs {

class Inbox {
  public:
    Inbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    ~Inbox() {
        if (fd_ >= 0) ::close(fd_);
    }
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    void ring() const {
        const std::uint64_t one = 1;
        (void)!::write(fd_, &one, sizeof one);
    }
    void silence() const {
        std::uint64_t count = 0;
        (void)!::read(fd_, &count, sizeof count);
    }
    void put(Introducer::Result result) {
        const std::lock_guard lock(mutex_);
        items_.push_back(std::move(result));
        full_.store(true, std::memory_order_release);
        ring();
    }
    [[nodiscard]] bool empty() const { return !full_.load(std::memory_order_acquire); }
    [[nodiscard]] std::vector<Introducer::Result> take() {
        const std::lock_guard lock(mutex_);
        full_.store(false, std::memory_order_release);
        return std::exchange(items_, {});
    }

  private:
    int fd_;
    std::mutex mutex_;
    std::vector<Introducer::Result> items_;
    std::atomic<bool> full_{false};
};

}  // namespace weft::live::verbs
