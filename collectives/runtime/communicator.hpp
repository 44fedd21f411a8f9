#pragma once
// Communicator: one rank's handle on a group of live ranks. It runs Plans over them, one after the
// other, each to its end or to an error that says who, where and why. Ranks of a Plan are positions
// in the group; ranks in errors are world ranks.
//
// Agreement. Operations are numbered; each message carries a digest of (context, number, Plan hash,
// collective, root, count, type, reduction). Ranks that disagree get an error naming both, within a
// second. Any error breaks the communicator at every member: make a new one (shrink).
// Leaves out: choice of Plans, splitting, data types of other libraries (collectives/api).
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "collectives/runtime/buffers.hpp"
#include "collectives/runtime/data_type.hpp"
#include "collectives/runtime/engine.hpp"
#include "collectives/runtime/prepared_plan.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

struct Call {
    UserBuffers buffers;
    std::uint64_t count = 0;  // elements: of the vector, or of one block (Binding::count)
    DataType dtype = DataType::kF32;
    ReduceOp op = ReduceOp::kSum;
    /// Of a message of no elements: one byte goes instead, so that its ends meet. The buffers are
    /// that byte.
    bool token = false;
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

class Communicator {
  public:
    /// The world.
    explicit Communicator(Engine& engine);
    /// A group: world ranks in order of group rank, this one among them; `context` is agreed by
    /// all of them and used for no other group that shares a rank with it.
    Communicator(Engine& engine, ContextId context, std::vector<std::uint32_t> members);
    /// A part of a group, by world ranks: an error of the part or of the whole breaks both, with
    /// all other parts, at every member of the whole. Ends before the whole.
    Communicator(Communicator& whole, ContextId context, std::vector<std::uint32_t> members);
    ~Communicator();
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;

    /// Runs one collective; all members must make the same calls in the same order. The plan was
    /// prepared for this rank. On success the output is complete and the input may be reused.
    Status run(const PreparedPlan& plan, const Call& call);
    /// Without waiting; the plan and the buffers stay in place until the handle is finished.
    [[nodiscard]] Handle start(const PreparedPlan& plan, const Call& call);

    [[nodiscard]] Engine& engine() const { return engine_; }
    [[nodiscard]] std::uint32_t rank() const { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const {
        return static_cast<std::uint32_t>(members_.size());
    }
    [[nodiscard]] ContextId context() const { return context_; }
    [[nodiscard]] const std::vector<std::uint32_t>& members() const { return members_; }
    /// The error that broke it.
    [[nodiscard]] std::optional<LiveError> broken() const;

    std::function<void(const SliceEvent&)> on_slice;  // empty: nothing is recorded

  private:
    friend class Engine;
    friend class Executor;

    /// Itself if it is no part.
    [[nodiscard]] Communicator& whole() { return whole_ != nullptr ? *whole_ : *this; }

    Engine& engine_;
    Communicator* whole_ = nullptr;
    ContextId context_;
    std::vector<std::uint32_t> members_;
    std::uint32_t rank_ = 0;
    // Under the engine's lock:
    std::uint64_t operations_ = 0;
    std::optional<LiveError> broken_;
    std::vector<std::byte> scratch_;
};

}  // namespace weft::live
