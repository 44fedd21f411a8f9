#pragma once
// One collective under way at one rank: asks the cursor what may be done, posts it, applies what
// arrives, and waits. The cursor decides (order, slots, what overwrites what); this moves bytes.
//
// Copies land at their place; what is to be reduced is read where the transport shows it. A send
// on a lane that dies goes out again on another, same key.
#include <cstdint>
#include <memory>
#include <vector>

#include "collectives/plan/cursor.hpp"
#include "collectives/runtime/communicator.hpp"

namespace weft::live {

class Executor {
  public:
    Executor(Communicator& communicator, const PreparedPlan& plan, const Call& call,
             const Binding& binding, std::uint64_t number);
    ~Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    /// To the end, or to the error that ended it.
    Status run();

  private:
    /// A slice on its way. Segments stay in place while the transport has them.
    struct Flight {
        Operation op;
        MessageKey key;
        std::uint32_t lane = 0;
        std::size_t size = 0;
        std::vector<Segment> segments;
    };
    using Flights = std::vector<std::unique_ptr<Flight>>;

    Status connect();
    bool post_ready();
    bool post_sends();
    bool drain();
    void handle(const Completion& c);
    void apply(const Completion& c, const Flight& f);
    void reduce_into_place(const Completion& c, const Flight& f);
    void copy(const Operation& op);
    [[nodiscard]] std::unique_ptr<Flight> new_flight(const Operation& op);
    [[nodiscard]] std::unique_ptr<Flight> take(Flights& from, const Completion& c);
    [[nodiscard]] std::optional<LiveError> trouble();
    void fail(LiveError error);
    [[nodiscard]] LiveError timeout(Clock::duration waited);

    Communicator& comm_;
    Endpoint& endpoint_;
    const PreparedPlan& plan_;
    const Call& call_;
    Binding binding_;
    Buffers buffers_;
    Cursor cursor_;
    OperationHead head_;
    Flights unposted_;  // sends that no lane has taken yet, oldest first
    Flights sending_;
    Flights receiving_;
    Flights spare_;  // to be used again
    std::optional<Clock::time_point> idle_since_;
    std::optional<LiveError> failure_;  // found on the way; ends the operation
};

}  // namespace weft::live
