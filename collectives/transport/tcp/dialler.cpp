#include "collectives/transport/tcp/dialler.hpp"

namespace weft::live::tcp {

namespace {
constexpr std::size_t kMostThreads = 8;
}

Dialler::~Dialler() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        jobs_.clear();
        more_.notify_all();
    }
    for (std::thread& t : threads_) t.join();
}

void Dialler::dial(const Job& job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(job);
    if (jobs_.size() > idle_ && threads_.size() < kMostThreads)
        threads_.emplace_back([this] { work(); });
    else
        more_.notify_one();
}

void Dialler::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        ++idle_;
        more_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
        --idle_;
        if (stop_) return;
        const Job job = jobs_.front();
        jobs_.pop_front();
        lock.unlock();
        done_(job, control_.dial(job.peer, Purpose::kTcpLane, lane_tag(job.lane, job.epoch),
                                 job.local_port, job.remote_port, job.deadline));
        lock.lock();
    }
}

}  // namespace weft::live::tcp
