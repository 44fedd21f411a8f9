#pragma once
// What other threads bring to an endpoint: connections that peers have opened, and the answers of
// the dialler. Ringing makes `fd` readable.
#include <atomic>
#include <mutex>
#include <optional>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "collectives/transport/tcp/dialler.hpp"

namespace weft::live::tcp {

class Inbox {
  public:
    /// A connection, or why there is none; `job` when this rank has asked for it.
    struct Item {
        std::optional<Dialler::Job> job;
        Outcome<Connection> connection;
    };

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
    void put(Item item) {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            if (item.connection.ok()) ::close(item.connection.value().fd);
            return;
        }
        items_.push_back(std::move(item));
        full_.store(true, std::memory_order_release);
        ring();
    }
    [[nodiscard]] bool empty() const { return !full_.load(std::memory_order_acquire); }
    [[nodiscard]] std::vector<Item> take() {
        const std::lock_guard lock(mutex_);
        full_.store(false, std::memory_order_release);
        return std::exchange(items_, {});
    }
    /// Nothing is taken any more; what is there is closed.
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        for (const Item& item : items_)
            if (item.connection.ok()) ::close(item.connection.value().fd);
        items_.clear();
    }

  private:
    int fd_;
    std::mutex mutex_;
    std::vector<Item> items_;
    std::atomic<bool> full_{false};
    bool closed_ = false;
};

}  // namespace weft::live::tcp
