#include "collectives/transport/net/loop.hpp"

#include <algorithm>
#include <array>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.hpp"

namespace weft::live::net {

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!ok()) return;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell_.get(), &event);
}

std::uint64_t Loop::watch(int fd, std::uint32_t events, Ready ready) {
    const std::uint64_t id = next_++;
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    WEFT_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0, "epoll: {}",
               words_of(errno));
    watches_.emplace(id, Watch{fd, std::make_shared<Ready>(std::move(ready))});
    return id;
}

void Loop::change(std::uint64_t watch, std::uint32_t events) {
    const auto found = watches_.find(watch);
    if (found == watches_.end()) return;
    epoll_event event{};
    event.events = events;
    event.data.u64 = watch;
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void Loop::forget(std::uint64_t watch) {
    const auto found = watches_.find(watch);
    if (found == watches_.end()) return;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
    watches_.erase(found);
}

std::uint64_t Loop::at(Clock::time_point when, Work work) {
    const std::uint64_t id = next_++;
    timers_.emplace(when, Timer{id, std::move(work)});
    due_.emplace(id, when);
    return id;
}

void Loop::cancel(std::uint64_t timer) {
    const auto found = due_.find(timer);
    if (found == due_.end()) return;
    const auto [begin, end] = timers_.equal_range(found->second);
    for (auto it = begin; it != end; ++it) {
        if (it->second.id != timer) continue;
        timers_.erase(it);
        break;
    }
    due_.erase(found);
}

void Loop::post(Work work) {
    {
        const std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(bell_.get(), &one, sizeof one);
}

void Loop::stop() {
    stop_.store(true, std::memory_order_release);
    post([] {});
}

void Loop::run_posted() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(bell_.get(), &count, sizeof count);
    std::vector<Work> work;
    {
        const std::lock_guard lock(mutex_);
        work.swap(posted_);
    }
    for (const Work& w : work) w();
}

void Loop::run_timers() {
    const auto now = Clock::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        Timer timer = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        due_.erase(timer.id);
        timer.work();
    }
}

int Loop::wait_ms(Clock::time_point until) const {
    if (!timers_.empty()) until = std::min(until, timers_.begin()->first);
    if (until == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void Loop::run(Clock::time_point until) {
    std::array<epoll_event, 64> events;
    while (!stop_.load(std::memory_order_acquire)) {
        const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 wait_ms(until));
        for (int i = 0; i < n; ++i) {
            const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
            if (id == 0) {
                run_posted();
                continue;
            }
            const auto found = watches_.find(id);
            if (found == watches_.end()) continue;
            const std::shared_ptr<Ready> ready = found->second.ready;
            (*ready)(events[static_cast<std::size_t>(i)].events);
        }
        run_timers();
        if (turn_) turn_();
        if (until != Clock::time_point::max() && Clock::now() >= until) return;
    }
}

}  // namespace weft::live::net
