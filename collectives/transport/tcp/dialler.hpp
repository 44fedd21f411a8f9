#pragma once
// Opens connections on threads of its own, so that neither poll() nor the sleep of a rank ever
// waits for a handshake. Threads are made when there is work for them, at most eight.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "collectives/transport/net/net_control.hpp"

namespace weft::live::tcp {

class Dialler {
  public:
    struct Job {
        std::uint32_t peer = 0;
        std::uint32_t lane = 0;
        std::uint32_t epoch = 0;
        int local_port = 0;
        int remote_port = 0;
        Clock::time_point deadline;
    };
    using Done = std::function<void(const Job&, Outcome<Connection>)>;

    /// `done` is called from a thread of the dialler.
    Dialler(NetControl& control, Done done) : control_(control), done_(std::move(done)) {}
    /// Waits for calls under way, no longer than their deadlines.
    ~Dialler();
    Dialler(const Dialler&) = delete;
    Dialler& operator=(const Dialler&) = delete;

    void dial(const Job& job);

  private:
    void work();

    NetControl& control_;
    Done done_;
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<Job> jobs_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    bool stop_ = false;
};

/// What connections are tagged with.
[[nodiscard]] constexpr std::uint64_t lane_tag(std::uint32_t lane, std::uint32_t epoch) {
    return std::uint64_t{lane} << 32 | epoch;
}

}  // namespace weft::live::tcp
