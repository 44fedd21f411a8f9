#pragma once
// One thread's wait for descriptors, timers and posted work, over epoll. Everything runs in the
// thread that calls run(); only post() and stop() may come from others. What has been forgotten or
// cancelled is not called any more, even if its event had come already.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "collectives/transport/message.hpp"
#include "collectives/transport/net/socket.hpp"

namespace weft::live::net {

class Loop {
  public:
    using Ready = std::function<void(std::uint32_t events)>;
    using Work = std::function<void()>;

    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// False if there were no descriptors left for it: nothing else may be called then.
    [[nodiscard]] bool ok() const { return epoll_ && bell_; }

    /// Level triggered: EPOLLIN, EPOLLOUT. The caller keeps `fd` open until forget().
    std::uint64_t watch(int fd, std::uint32_t events, Ready ready);
    void change(std::uint64_t watch, std::uint32_t events);
    void forget(std::uint64_t watch);

    std::uint64_t after(Clock::duration wait, Work work) { return at(Clock::now() + wait, work); }
    std::uint64_t at(Clock::time_point when, Work work);
    void cancel(std::uint64_t timer);

    /// From any thread. Work that is posted after the end of run() is dropped.
    void post(Work work);
    /// Called at the end of every turn, for what is gathered during one.
    void each_turn(Work work) { turn_ = std::move(work); }

    /// Until stop(), and no longer than `until`.
    void run(Clock::time_point until = Clock::time_point::max());
    void stop();

  private:
    struct Watch {
        int fd;
        std::shared_ptr<Ready> ready;  // shared: it may forget itself while it runs
    };
    struct Timer {
        std::uint64_t id;
        Work work;
    };
    void run_timers();
    void run_posted();
    [[nodiscard]] int wait_ms(Clock::time_point until) const;

    Fd epoll_;
    Fd bell_;
    std::uint64_t next_ = 1;
    std::unordered_map<std::uint64_t, Watch> watches_;
    std::multimap<Clock::time_point, Timer> timers_;
    std::unordered_map<std::uint64_t, Clock::time_point> due_;
    Work turn_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::vector<Work> posted_;
};

}  // namespace weft::live::net
