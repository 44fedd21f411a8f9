#pragma once
// Communicator: one rank's handle on a group of live ranks. It runs Plans, one after the other,
// each to its end or to an error that says who, where and why.
//
// Agreement. Operations are numbered; the first message of each carries (number, Plan hash, count,
// type, reduction). Ranks that disagree get an error naming both, within a second.
// Deadline. An operation that makes no progress for `patience` ends with an error that names rank,
// peer, lane, step and the ranks that have not arrived. Any error ends the operation on all ranks,
// and the communicator with it: make a new one on a new transport.
// Threads. One communicator is used by one thread. Leaves out: streams, groups, asynchrony.
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "collectives/runtime/buffers.hpp"
#include "collectives/runtime/data_type.hpp"
#include "collectives/runtime/lane_chooser.hpp"
#include "collectives/runtime/prepared_plan.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

struct Call {
    UserBuffers buffers;
    std::uint64_t count = 0;  // elements: of the vector, or of one block (Binding::count)
    DataType dtype = DataType::kF32;
    ReduceOp op = ReduceOp::kSum;
};

/// A slice that has arrived and been applied; for tests and traces.
struct SliceEvent {
    std::uint32_t channel = 0;
    std::uint32_t stage = 0;
    std::uint32_t step = 0;
    std::uint32_t peer = 0;
    std::uint32_t lane = 0;
    std::size_t bytes = 0;
};

struct CommunicatorOptions {
    std::chrono::milliseconds patience{30'000};
    std::function<void(const SliceEvent&)> on_slice;  // empty: nothing is recorded
};

class Communicator {
  public:
    /// The endpoint outlives the communicator and is used by nobody else meanwhile.
    explicit Communicator(Endpoint& endpoint, CommunicatorOptions options = {});

    /// Runs one collective; all ranks must make the same calls in the same order. The plan was
    /// prepared for this rank. On success the output is complete and the input may be reused.
    Status run(const PreparedPlan& plan, const Call& call);

    [[nodiscard]] std::uint32_t rank() const { return endpoint_.rank(); }

  private:
    friend class Executor;
    [[nodiscard]] LaneChooser& chooser(std::uint32_t peer, const Channel& channel);
    void lane_down(std::uint32_t peer, std::uint32_t lane);

    Endpoint& endpoint_;
    CommunicatorOptions options_;
    std::uint64_t operations_ = 0;
    std::optional<LiveError> broken_;
    std::vector<std::byte> scratch_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> dead_lanes_;  // (peer, lane)
    std::map<std::tuple<std::uint32_t, std::int32_t, std::int32_t>, LaneChooser> choosers_;
};

}  // namespace weft::live
