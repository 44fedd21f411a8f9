#pragma once
// Engine: one rank's progress. Runs the operations of all its communicators at the same time, one
// at a time per communicator, and turns what goes wrong into errors with a name and a deadline.
//
// Who moves. Whoever waits: wait() polls, posts and applies for all operations until its own is
// finished. With `background` a thread does it while nobody waits, so that asynchronous operations
// move while the caller computes. A waiter checks, yields, then sleeps: it works with no spare
// core. Errors. An operation that makes no progress is inquired about after 50 ms (who differs, who
// is absent), and ends after `patience` with an error naming rank, peer, lane, step, the absent and
// why they are. A member that died or has left, a fault, an alarm end it at once. An error breaks
// its communicator at every member; others go on.
// Threads. All functions may be called from any thread.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "collectives/runtime/lane_chooser.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

class Communicator;
class Executor;
class PreparedPlan;
struct Call;

struct EngineOptions {
    std::chrono::milliseconds patience{30'000};
    /// Ranks that share this host's cores; 0: all of the world.
    std::uint32_t ranks_here = 0;
    bool background = false;
};

/// An operation that has been started. Outlives the communicator's buffers at the caller's peril,
/// but never the engine.
class Pending {
  public:
    ~Pending();
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;

  private:
    friend class Engine;
    Pending() = default;
    const PreparedPlan* plan_ = nullptr;
    std::unique_ptr<Call> call_;
    std::unique_ptr<Executor> executor_;  // while it is under way
    std::optional<Status> status_;        // when finished
    bool moved_ = true;                   // since it was last looked at
    Clock::time_point still_since_;       // when it was first seen not to move
    Clock::time_point asked_;             // when it was last inquired about
    std::vector<Absent> absent_;          // the last that was known since it stood still
};
using Handle = std::shared_ptr<Pending>;

/// What an engine does at this moment, for whoever looks from outside.
struct EngineView {
    struct Group {
        ContextId context = 0;
        std::vector<std::uint32_t> members;
        std::uint64_t operation = 0;  // under way by messages; 0: none
        double still_s = 0;           // for how long nothing of it has moved
        std::string waits_for;
        std::string broken;
    };
    struct SlowLane {
        std::uint32_t peer = 0;
        std::uint32_t lane = 0;
        Lane way;
        bool up = true;
        double rate = 0;  // bytes a second; 0: not measured
        double best = 0;  // of the lanes to this peer
    };
    std::vector<Group> groups;
    std::vector<SlowLane> lanes;  // that are down, or slow
    bool attended = false;        // a thread moves operations, or would
};

class Engine {
  public:
    /// The member's control and endpoint outlive the engine and are used by nobody else meanwhile.
    Engine(Control& control, Endpoint& endpoint, EngineOptions options = {});
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    [[nodiscard]] Control& control() const { return control_; }
    [[nodiscard]] Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] const EngineOptions& options() const { return options_; }

    /// Puts the operation behind those of the same communicator and starts it if it is the first.
    /// The plan and the buffers stay in place until it is finished.
    [[nodiscard]] Handle start(Communicator& communicator, const PreparedPlan& plan,
                               const Call& call);
    /// start() and wait() to the end.
    Status run(Communicator& communicator, const PreparedPlan& plan, const Call& call);
    /// True when it is finished, well or not.
    [[nodiscard]] bool wait(const Handle& handle, Clock::time_point until);
    /// Makes some progress; true when finished.
    [[nodiscard]] bool test(const Handle& handle);
    /// Of a finished operation.
    [[nodiscard]] Status status(const Handle& handle) const;

    /// Breaks the communicator, with all its parts, here and at every member; its operations end
    /// with the error, and no memory of theirs is touched any more when this returns. From any
    /// thread.
    void abort(Communicator& communicator, const LiveError& error, Alarm::Kind kind);
    /// For collectives that need no messages: the communicator's next operation number, once its
    /// queue is empty. The caller tells control() of it.
    [[nodiscard]] Outcome<std::uint64_t> take_turn(Communicator& communicator);
    /// Moves everybody's operations, or sleeps, until enough() or `until`.
    void help(const std::function<bool()>& enough, Clock::time_point until);
    /// What an operation of its own means by failing: tells the members, breaks it here.
    void fail(Communicator& communicator, const LiveError& error);
    /// Connects to the members; for what needs them before any operation does.
    Status connect(const Communicator& communicator);
    [[nodiscard]] std::optional<LiveError> error_of(const Communicator& communicator) const;
    /// For the communicator's end: what it has under way is broken off, silently.
    void forget(Communicator& communicator);

    /// Nothing if it is in use at this moment: try again. Never blocks; from any thread.
    [[nodiscard]] std::optional<EngineView> view();

    /// For the executor. The chooser of lanes to a connected peer.
    [[nodiscard]] LaneChooser& lanes(std::uint32_t peer);

  private:
    struct Team {
        Communicator* communicator = nullptr;
        std::deque<Handle> queue;  // the first is under way
    };
    using Lock = std::unique_lock<std::mutex>;
    /// Of the leader, since something last moved.
    struct Idle {
        Clock::time_point since;
        int yields = 0;
    };

    [[nodiscard]] Lock enter();
    [[nodiscard]] Team& team_of(Communicator& communicator);
    [[nodiscard]] Handle enqueue(Communicator& communicator, const PreparedPlan& plan,
                                 const Call& call);
    void wait_for(Lock& lock, const Handle& handle, Clock::time_point until);
    void lead(Lock& lock, const std::function<bool()>& enough, Clock::time_point until);
    bool round();
    bool collect();
    void deliver(const Completion& c);
    void begin_first(Team& team);
    bool advance(Team& team);
    void finish(Team& team, const Status& status);
    void break_off(Team& team, const LiveError& error);
    void drop_queue(Team& team);
    [[nodiscard]] std::optional<Alarm> alarm_of(Communicator& communicator) const;
    void give_up(Team& team, const LiveError& error);
    bool heed_alarms();
    bool heed_faults();
    void rest(Lock& lock, Idle& idle, Clock::time_point until);
    [[nodiscard]] Clock::time_point look_after(Clock::time_point now);
    [[nodiscard]] std::optional<LiveError> stuck(const Team& team, Pending& p,
                                                 Clock::time_point now);
    [[nodiscard]] bool busy() const;
    [[nodiscard]] bool connecting() const;
    void work_in_background();

    Control& control_;
    Endpoint& endpoint_;
    EngineOptions options_;
    Clock::duration checks_{};  // for how long to look again before the core is offered to others
    int yields_ = 0;            // how often it is, before sleep

    mutable std::mutex mutex_;
    std::condition_variable changed_;  // an operation finished, or the lead is free
    std::condition_variable work_;     // for the engine's own thread
    std::atomic<int> callers_{0};      // threads that want the lock
    bool led_ = false;                 // a thread is making progress
    bool in_background_ = false;       // and it is the engine's own
    bool closing_ = false;
    std::vector<std::unique_ptr<Team>> teams_;
    std::map<std::uint32_t, LaneChooser> lanes_;
    std::uint64_t alarms_seen_ = 0;
    std::thread background_;
};

}  // namespace weft::live
