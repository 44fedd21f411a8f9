#pragma once
// One collective under way at one rank: asks the cursor what may be done, posts it, and applies
// what arrives. The cursor decides (order, slots, what overwrites what); this moves bytes; the
// engine calls it, polls and waits.
//
// Copies land at their place; what is to be reduced is read where the transport shows it. A send
// on a lane that dies goes out again on another, same key.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectives/plan/cursor.hpp"
#include "collectives/runtime/communicator.hpp"

namespace weft::live {

class Executor {
  public:
    Executor(Communicator& communicator, const PreparedPlan& plan, const Call& call,
             std::uint64_t number);
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    [[nodiscard]] const OperationHead& head() const { return head_; }
    /// Posts whatever may go; true if anything moved. Blocks while it connects, half a second at
    /// most.
    bool advance();
    void handle(const Completion& c);
    [[nodiscard]] bool connecting() const { return connected_ < plan_.peers().size(); }
    [[nodiscard]] bool done() const { return !connecting() && cursor_.done(); }
    /// What ended it, if anything did.
    [[nodiscard]] const std::optional<LiveError>& failure() const { return failure_; }
    /// The slice that has been waited for longest, in words; and the same as an error.
    [[nodiscard]] std::string waits_for() const;
    [[nodiscard]] LiveError no_progress(Clock::duration waited) const;

  private:
    /// A slice on its way. Segments stay in place while the transport has them.
    struct Flight {
        Operation op;
        MessageKey key;
        std::uint32_t peer = 0;  // world rank
        std::uint32_t lane = 0;
        std::size_t size = 0;
        std::vector<Segment> segments;
    };
    using Flights = std::vector<std::unique_ptr<Flight>>;

    [[nodiscard]] bool connect();
    bool post_ready();
    bool post_sends();
    [[nodiscard]] bool post_send(Flight& f, Clock::time_point now);
    void apply(const Completion& c, const Flight& f);
    void reduce_into_place(const Completion& c, const Flight& f);
    void copy(const Operation& op);
    [[nodiscard]] std::unique_ptr<Flight> new_flight(const Operation& op);
    [[nodiscard]] static std::unique_ptr<Flight> take(Flights& from, const Completion& c);
    [[nodiscard]] const Flight* oldest() const;
    void fail(LiveError error);

    Communicator& comm_;
    Endpoint& endpoint_;
    const PreparedPlan& plan_;
    Call call_;
    Binding binding_;
    Buffers buffers_;
    Cursor cursor_;
    OperationHead head_;
    std::size_t connected_ = 0;  // peers so far
    Flights unposted_;           // sends that no lane has taken yet, oldest first
    Flights sending_;
    Flights receiving_;
    Flights spare_;                       // to be used again
    std::vector<std::uint64_t> waiting_;  // connections whose next send found no lane
    std::vector<std::uint32_t> full_;     // lanes that have refused the send at hand
    std::optional<LiveError> failure_;    // found on the way; ends the operation
    std::string unreachable_;             // why the last attempt to connect failed
};

}  // namespace weft::live
