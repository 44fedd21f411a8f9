#pragma once
// Machine: runs compiled programs on a Quotient: one state per class of ranks, one collective per
// class of groups, bytes by a Carrier.
//
// Models: the execution semantics of traces/workload.hpp and "Time" of docs/design/0001. Everything
// that falls on one instant is applied before rates change. Leaves out: what it means (report.hpp).
// Cost: O(ops of one rank of each class), times the streams each change touches.
#include <algorithm>
#include <optional>
#include <queue>
#include <vector>

#include "base/log.hpp"
#include "simulator/endpoint/endpoint.hpp"
#include "simulator/execute/carrier.hpp"
#include "simulator/execute/programs.hpp"

namespace weft {

/// When one op was reached, began (all had arrived) and ended, on the ranks of a class.
struct OpTimes {
    SimTime ready;
    SimTime start;
    SimTime end;
};

/// All runs of one exchange under one variant.
struct ExchangeStats {
    std::uint64_t count = 0;
    Int128 total_ps = 0;  // over all groups
    SimDuration least;
    SimDuration most;
    Int128 waiting_ps = 0;  // over all members of all groups, from their arrivals to the last's
    SimDuration longest_wait;
    void add(const ExchangeStats& o) {
        least = count == 0 ? o.least : std::min(least, o.least);
        most = std::max(most, o.most);
        count += o.count;
        total_ps += o.total_ps;
        waiting_ps += o.waiting_ps;
        longest_wait = std::max(longest_wait, o.longest_wait);
    }
};

/// Everything a run reads; outlives the machine.
struct MachineInput {
    const Scenario* scenario = nullptr;
    const CompiledWorkload* workload = nullptr;
    const flow::Universe* universe = nullptr;
    const flow::Quotient* quotient = nullptr;
    std::vector<SimTime> epoch_start;  // by epoch; the first is zero
    /// By exchange, by group of its set: which variant carries it.
    std::vector<std::vector<std::uint16_t>> variant;
    /// By set, by variant: the protocol its library forces.
    std::vector<std::vector<std::optional<WireProtocol>>> protocol;
    ProgressSink progress;
};

class Machine {
  public:
    /// `carrier` outlives the machine.
    Machine(const MachineInput& in, Carrier& carrier);
    /// Runs to the end; ConfigError when the workload cannot end.
    void run();

    [[nodiscard]] SimTime finished(flow::ClassId rank_class) const {
        return ranks_[rank_class].finished;
    }
    [[nodiscard]] const std::vector<OpTimes>& times(flow::ClassId rank_class) const {
        return ranks_[rank_class].times;
    }
    /// How long a compute op takes on the ranks of a class, undisturbed by communication.
    [[nodiscard]] SimDuration work(flow::ClassId rank_class, std::uint32_t op) const {
        const Rank& r = ranks_[rank_class];
        return r.jitter.of(op, r.program->ops[op].time);
    }
    [[nodiscard]] const Carrier& carrier() const { return *carrier_; }
    /// By exchange, by variant.
    [[nodiscard]] const std::vector<std::vector<ExchangeStats>>& stats() const { return stats_; }
    [[nodiscard]] SimTime now() const { return now_; }

  private:
    /// The compute op under way, at a rate that changes with what communicates beside it.
    struct Computing {
        bool on = false;
        SimDuration left;  // of the op's work, as alone, when it was last looked at
        SimTime since;     // when that was
        SimTime ends;      // at the rate since then
        Slowdown rate;
    };
    struct Rank {
        const CompiledProgram* program = nullptr;
        RankJitter jitter;
        Pressure pressure;
        Computing computing;
        std::vector<std::uint32_t> waits_for;  // by op: unfinished `after`
        std::vector<std::uint32_t> head;       // by queue: the op whose turn it is
        std::vector<OpTimes> times;
        std::size_t left = 0;  // ops not finished
        SimTime finished;
    };
    struct Group {
        std::uint64_t arrived = 0;
        std::uint32_t exchange = 0;
        SimTime start;
        EndpointPrice price;
    };
    enum class EventKind : std::uint8_t { kComputeEnds, kBytesBegin, kGroupEnds };
    struct Event {
        SimTime at;
        EventKind kind;
        std::uint32_t set;
        flow::ClassId id;
        bool operator>(const Event& o) const {
            return std::tie(at, kind, set, id) > std::tie(o.at, o.kind, o.set, o.id);
        }
    };
    void start_all();
    void drain_ready();
    void start_op(flow::ClassId rank, std::uint32_t op);
    void compute_at_rate_of_now(flow::ClassId rank);
    void end_compute(flow::ClassId rank);
    void press(flow::ClassId rank, std::uint32_t arrived, std::uint32_t moving);
    /// Calls visit(class, queue) once for every class in a group (a pair: sender, receiver).
    template <class Visit>
    void each_member(GroupRef g, const Visit& visit);
    [[nodiscard]] bool moves_bytes(GroupRef g) const;
    void arrive(flow::ClassId rank, const CompiledOp& op);
    void begin(GroupRef g);
    void begin_bytes(GroupRef g);
    void end_group(GroupRef g);
    void count_run(GroupRef g);
    void finish_op(flow::ClassId rank, std::uint32_t op, SimTime start);
    void finish_head(flow::ClassId rank, std::uint32_t queue, SimTime start);
    void make_ready(flow::ClassId rank, std::uint32_t op);
    bool apply_events();
    void enter_epoch();
    void report_progress();
    [[noreturn]] void complain() const;
    [[nodiscard]] std::string stuck_in(RankId rank) const;
    [[nodiscard]] const flow::Traffic* traffic(GroupRef g) const;
    [[nodiscard]] std::uint16_t variant(GroupRef g) const;
    [[nodiscard]] std::size_t lane_epoch() const { return in_.universe->lanes_of_epoch[epoch_]; }
    Group& group(GroupRef g) { return groups_[g.set][g.id]; }
    [[nodiscard]] const flow::GroupClass& group_class(GroupRef g) const {
        return in_.quotient->groups[g.set][g.id];
    }

    MachineInput in_;
    Carrier* carrier_;
    SimTime now_;
    std::size_t epoch_ = 0;
    std::vector<Rank> ranks_;
    std::vector<std::vector<Group>> groups_;  // by set
    std::vector<std::pair<flow::ClassId, std::uint32_t>> ready_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::vector<GroupRef> ended_;
    std::vector<std::vector<ExchangeStats>> stats_;
    std::uint64_t finished_ops_ = 0;
    std::uint64_t all_ops_ = 0;
    std::uint64_t next_report_ = 0;
};

}  // namespace weft
