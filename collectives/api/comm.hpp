#pragma once
// Comm: collectives over a group of ranks of a World, each by the Plan that suits its size and the
// group's hosts. What weft.h offers, in C++.
//
// Order. All members call the same collectives in the same order; a difference is an error that
// names two of them. Calls that block and calls that return a request are two kinds: a collective
// is called the same way by all members. Messages between pairs (pairs.hpp) have no place in that
// order.
// Blocking collectives of ranks of one host go through shared memory without messages and reduce in
// order of ranks (shared.hpp); the others by a Plan.
// Errors break a communicator at all its members; shrink() makes a new one of those that live.
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collectives/api/loaded_plans.hpp"
#include "collectives/api/pairs.hpp"
#include "collectives/api/world.hpp"
#include "collectives/plan/plan.hpp"
#include "collectives/runtime/communicator.hpp"

namespace weft::live {

class SharedCollectives;

/// One call. `count` is of elements: all-reduce, reduce, broadcast: of the vector; the others: of
/// one rank's block, as in MPI and NCCL. Input or output may be null where the collective has none
/// at this rank: reduce's and gather's output, and scatter's input, are the root's alone.
struct CollectiveCall {
    Collective collective = Collective::kAllReduce;
    const void* input = nullptr;
    void* output = nullptr;
    std::uint64_t count = 0;
    DataType dtype = DataType::kF32;
    ReduceOp op = ReduceOp::kSum;
    std::uint32_t root = 0;
    /// kPreMulSum: one element of the type.
    const void* factor = nullptr;
};

/// What was decided for one call, and what came of it.
struct OperationRecord {
    std::uint64_t number = 0;
    Collective collective = Collective::kAllReduce;
    std::uint64_t bytes = 0;  // nccl-tests total
    std::string plan;         // "allreduce/ring, 1 channel, slices of 256 KiB"
    std::string why;
    std::uint64_t plan_hash = 0;  // PlanTemplate::hash(); 0: no Plan
    double seconds = 0;
    bool ok = true;
};

/// Counts since the communicator was made.
struct Counters {
    std::uint64_t operations = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;
    std::uint64_t shared = 0;  // of the operations: through shared memory, without messages
};

class Comm;

/// An operation under way, or a group of messages. Ends before its communicator.
class Request {
  public:
    /// Waits until it is finished.
    ~Request();
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    /// True when finished, well or not; makes progress.
    [[nodiscard]] bool test();
    [[nodiscard]] bool wait(Clock::time_point until);
    /// Of a finished one.
    [[nodiscard]] Status status();

  private:
    friend class Comm;
    Request() = default;
    Comm* comm_ = nullptr;
    std::vector<Handle> handles_;
    std::shared_ptr<const PreparedPlan> plan_;
    std::vector<std::byte> scaled_;  // a pre-multiplied input
    OperationRecord record_;
    Clock::time_point began_;
    bool noted_ = false;
};

class Comm {
  public:
    /// All ranks of the world.
    explicit Comm(std::shared_ptr<World> world);
    ~Comm();
    Comm(const Comm&) = delete;
    Comm& operator=(const Comm&) = delete;

    [[nodiscard]] std::uint32_t rank() const { return communicator_.rank(); }
    [[nodiscard]] std::uint32_t ranks() const { return communicator_.ranks(); }
    [[nodiscard]] const std::vector<std::uint32_t>& members() const {
        return communicator_.members();
    }
    [[nodiscard]] World& world() const { return *world_; }

    /// Blocks until it is done here. ConfigError for arguments that make no sense.
    Status run(const CollectiveCall& call);
    /// The buffers stay in place until the request is finished; the communicator outlives it.
    [[nodiscard]] std::unique_ptr<Request> start(const CollectiveCall& call);
    /// Messages to and from members, all under way at once; done when all are. ConfigError, and
    /// nothing has happened, for what makes no sense.
    Status run(std::span<const PairMessage> group);
    [[nodiscard]] std::unique_ptr<Request> start(std::span<const PairMessage> group);
    /// Returns after all members have called it.
    Status barrier();

    /// Collective. Members of equal colour, ordered by (key, rank here), make a new group; colour
    /// -1: none, and null.
    [[nodiscard]] Outcome<std::unique_ptr<Comm>> split(std::int32_t colour, std::int32_t key);
    /// A group of those members that live, after a failure; called by all of them. All that get one
    /// get the same. Members that are silent are counted out by a majority (NetControl::survivors).
    /// Ends within the world's patience, whoever fails meanwhile; after an error it may be called
    /// again.
    [[nodiscard]] Outcome<std::unique_ptr<Comm>> shrink();
    /// Breaks it at all members, from any thread; operations end with an error and touch no
    /// buffer any more when this returns.
    void abort(const std::string& why);
    /// The same, said to be on purpose: members leave their collectives to shrink().
    void revoke();
    [[nodiscard]] std::optional<LiveError> broken() const { return communicator_.broken(); }

    /// A Plan for calls of one collective of least..most bytes (nccl-tests size), blocking or not:
    /// by name with parameters, or as JSON, proved by the checker. Collective: all members give the
    /// same one, which is agreed before it counts. The latest that fits a call runs; groups made of
    /// this one begin without. ConfigError for a text that is no Plan of this group.
    Status load_plan(const std::string& text, std::uint64_t least, std::uint64_t most);
    /// All of them; at the same place in the order of calls at all members.
    void unload_plans();

    /// The last operations, oldest first; at most 256.
    [[nodiscard]] std::vector<OperationRecord> history() const;
    [[nodiscard]] Counters counters() const;
    /// ConfigError when the arguments make no sense.
    void check(const CollectiveCall& call) const;
    void check(std::span<const PairMessage> group) const { pairs_.check(group); }
    /// What would run: plan and reason.
    [[nodiscard]] OperationRecord explain(const CollectiveCall& call);

  private:
    friend class Request;
    Comm(std::shared_ptr<World> world, ContextId context, std::vector<std::uint32_t> members);
    struct Chosen {
        std::shared_ptr<const PreparedPlan> plan;
        std::string text;
        std::string why;
    };
    struct Prepared {
        std::shared_ptr<const PreparedPlan> plan;
        Call call;
        std::vector<std::byte> scaled;  // a pre-multiplied input
        OperationRecord record;
    };
    [[nodiscard]] Prepared prepare(const CollectiveCall& call);
    [[nodiscard]] const Chosen& choose(const CollectiveCall& call);
    [[nodiscard]] bool runs_loaded(const CollectiveCall& call);
    [[nodiscard]] SharedCollectives* shared();
    /// Null: the call goes by messages.
    [[nodiscard]] SharedCollectives* shared_for(const CollectiveCall& call);
    void note_shared(const CollectiveCall& call, bool ok, Clock::time_point began);
    void leave_shared();
    [[nodiscard]] ContextId context_of(const std::vector<std::uint32_t>& living) const;
    void note(const OperationRecord& record);

    std::shared_ptr<World> world_;
    GroupShape shape_;
    Communicator communicator_;
    Pairs pairs_;
    std::unique_ptr<SharedCollectives> shared_;
    std::atomic<SharedCollectives*> shared_now_{nullptr};  // for other threads
    bool shared_tried_ = false;
    std::uint32_t shrinks_ = 0;
    std::mutex choosing_;
    LoadedPlans loaded_;  // under choosing_
    std::atomic<bool> any_loaded_{false};
    std::map<std::tuple<Collective, std::uint32_t, std::uint32_t>, Chosen> chosen_;
    mutable std::mutex noting_;
    std::deque<OperationRecord> history_;
    Counters counters_;
};

}  // namespace weft::live
