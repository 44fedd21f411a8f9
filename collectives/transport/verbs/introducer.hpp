#pragma once
// Makes queue pairs with peers: over an authenticated connection between the two ports of a lane,
// which also proves that the path works, both ends show each other their records, connect their
// queue pairs, say so, and close it. Runs on threads of its own, so that neither poll() nor the
// sleep of a rank ever waits for a handshake, and so that a peer that is busy elsewhere can be
// connected to. Either end may begin; when both do at the same time the lower rank's call counts.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"
#include "collectives/transport/verbs/link.hpp"

namespace weft::live::verbs {

/// A few threads for work that blocks; made when there is work for them.
class Workers {
  public:
    ~Workers() { stop(); }
    void put(std::function<void()> work);
    /// Waits for what is under way; the rest is dropped.
    void stop();

  private:
    void run();
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<std::function<void()>> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    bool stop_ = false;
};

class Introducer {
  public:
    struct Result {
        Link::Place place;
        std::unique_ptr<Link> link;  // also a failed one: it must be drained
        bool dialled = false;        // asked for here
        std::string why;             // empty: it works
    };
    struct World {
        NetControl& control;
        std::vector<Device*> devices;  // by local port; nullptr: none
        /// Lanes to a peer, known after the meeting; any thread.
        std::function<std::vector<Lane>(std::uint32_t peer)> lanes;
        /// Called from threads of the introducer.
        std::function<void(Result)> done;
    };
    explicit Introducer(World world);
    ~Introducer();
    Introducer(const Introducer&) = delete;
    Introducer& operator=(const Introducer&) = delete;

    /// After the meeting, when cards can be read: what has called until now is answered.
    void start();
    /// `seen`: the highest epoch of the lane whose result has been looked at. False: one is being
    /// made or was made already; its result will come.
    bool dial(std::uint32_t peer, std::uint32_t lane, std::uint32_t seen,
              Clock::time_point deadline);
    /// A connection that a peer has opened. Does not block.
    void accept(const Connection& connection);

  private:
    struct Attempt {
        std::uint32_t epoch = 0;  // the highest that was tried
        std::uint32_t made = 0;   // ... of which this end has made a queue pair
        bool dialling = false;
        bool committed = false;  // the call has been answered, and no other is taken any more
        bool accepting = false;
        std::uint32_t made_before = 0;  // `made` when the call began
    };
    void answer(const Connection& connection);
    [[nodiscard]] bool commit(const Link::Place& place);
    void call(const Link::Place& place, Clock::time_point deadline);
    void introduce(const Link::Place& place, const Connection& connection, bool caller);
    [[nodiscard]] std::string exchange(const Link::Place& place, const Connection& connection,
                                       bool caller, std::unique_ptr<Link>& link);
    [[nodiscard]] Outcome<std::unique_ptr<Link>> make(const Link::Place& place);

    World world_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint32_t> next_id_{1};
    std::mutex mutex_;
    bool started_ = false;
    std::vector<Connection> early_;                                        // before start()
    std::map<std::pair<std::uint32_t, std::uint32_t>, Attempt> attempts_;  // by peer and lane
    Workers calls_;
    Workers answers_;
};

}  // namespace weft::live::verbs
