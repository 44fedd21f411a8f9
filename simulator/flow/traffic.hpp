#pragma once
// Traffic: what one Plan puts on the links when one group runs it, whatever the size.
//
// Models: docs/design/0001 "Streams" and "Time". A pipelined channel is one stream; an all-to-all
// is a stream per (stage, source, destination), which are enumerated on demand and never stored
// (16.7 million for 4096 ranks). What a scale-up switch reduces or multicasts crosses each GPU's
// link once a direction. Everything is per byte of the collective's size, as fractions of
// integers. Leaves out: when it runs, and what else does.
// Cost: O(edges of the plan) to build and to visit.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "collectives/plan/plan.hpp"
#include "simulator/flow/edges.hpp"
#include "simulator/flow/ends.hpp"
#include "simulator/flow/legs.hpp"

namespace weft::flow {

/// One stream in every epoch of the lanes. It carries ceil(8 size num / den) bits on its most
/// loaded link (pooled: on all lanes together).
struct StreamView {
    std::span<const Int128> num;  // by epoch
    Int128 den;
    std::span<const EdgeLanes> lanes;  // by epoch; weights are of the rate y
};

/// Links that are first used by one phase and last by another: how long the busiest of them carries
/// bits, and how long the phases outside take, alone, and their fill.
struct PhaseSpan {
    std::int64_t own_ps_per_gib = 0;
    std::int64_t outside_ps_per_gib = 0;
    Fill outside;
};

/// A ring stage of a plan with several phases: every slice loop costs its latencies again. A tree's
/// stage too, with one step: its loops follow each other down the tree without.
struct RingStage {
    std::uint32_t steps = 0;
    Fill fill;
    std::uint32_t phase = 0;
    Int128 units = 0;             // over all edges
    Int128 phase_units = 0;       // of all stages of its phase
    std::int64_t ps_per_gib = 0;  // its part of its phase, alone
};

/// What one step costs at its two ends, besides the wire.
struct StepCosts {
    SimDuration scale_up;
    SimDuration network;
    std::int64_t channel_bits_per_second = 0;  // most of one inside a host; 0: what links carry
    [[nodiscard]] SimDuration of(const Fill& f) const {
        return f.latency + scale_up * f.scale_up + network * f.network;
    }
};

/// A tree's rank passes a slice on when it has the whole of it: the hops from a leaf to the root
/// and back, and the slowest rate of each kind (0: none).
struct HandOn {
    std::uint32_t scale_up = 0;
    std::uint32_t network = 0;
    std::int64_t scale_up_rate = 0;
    std::int64_t network_rate = 0;
};

/// What differs between epochs of the lanes.
struct EpochTraffic {
    Fill fill;
    std::vector<PhaseSpan> spans;  // of a plan with several phases, as all below
    std::vector<RingStage> rings;
    std::vector<Fill> phase_fill;
    std::int64_t phases_ps_per_gib = 0;  // sum of the phases, each alone
    std::int64_t flow_ps_per_gib = 0;    // all phases together, alone on the fabric
    HandOn hand_on;                      // of the channel where it takes longest
    std::uint32_t switched_cells = 0;    // of in-network stages: a switch reduces or multicasts
    std::uint32_t sent_cells = 0;        // ... point to point, since no switch can
    /// Messages that a rank sends in direct exchanges: the mean, of the channel that sends most.
    std::uint32_t messages_scale_up = 0;
    std::uint32_t messages_network = 0;
    Ends ends;
};

/// Sums by index of which few are touched; cleared at the cost of those.
class SparseSums {
  public:
    void add(std::uint32_t i, Int128 more) {
        if (i >= sums_.size()) sums_.resize(i + i / 2 + 64, 0);
        if (sums_[i] == 0) touched_.push_back(i);
        sums_[i] += more;
    }
    [[nodiscard]] Int128 operator[](std::uint32_t i) const {
        return i < sums_.size() ? sums_[i] : 0;
    }
    [[nodiscard]] std::span<const std::uint32_t> touched() const { return touched_; }
    void clear();

  private:
    std::vector<Int128> sums_;
    std::vector<std::uint32_t> touched_;
};

/// Working memory for building Traffic, to be used again.
struct TrafficScratch {
    std::vector<SparseSums> phase;       // by leg: bits per GiB x kFull
    SparseSums stream;                   // by leg: units x kFull, of the channel at hand
    std::vector<SparseSums> phase_link;  // by link: bits per GiB x kFull
    SparseSums link;
    EdgeLanes lanes;
    std::vector<Int128> phase_units;  // of the channel at hand, over all edges
    bool connected = true;            // of the channel at hand
    EndCounter ends;
};

/// Where traffic flows: the same for all Traffic of a simulation.
struct Surroundings {
    const Fabric* fabric = nullptr;
    const Placement* placement = nullptr;
    const Legs* legs = nullptr;
    std::vector<LaneMaker*> makers;     // by epoch
    std::vector<const Health*> health;  // by epoch: what links carry
    TrafficScratch* scratch = nullptr;
    /// Time on a link of a byte that a switch reduces or multicasts, against other bytes.
    std::int64_t in_network_per_mille = 1000;
};

class Traffic {
  public:
    /// `members`: group rank -> world rank. `plan` and what `around` points to outlive this.
    Traffic(const PlanTemplate& plan, std::uint64_t plan_key, std::vector<RankId> members,
            const Surroundings& around);

    void visit(const std::function<void(const StreamView&)>& see) const;
    [[nodiscard]] std::span<const EpochTraffic> epochs() const { return epochs_; }
    [[nodiscard]] std::span<const RankId> members() const { return members_; }
    [[nodiscard]] const PlanTemplate& plan() const { return *plan_; }
    /// Equal plans have equal keys.
    [[nodiscard]] std::uint64_t plan_key() const { return plan_key_; }
    /// Time on top of the launch and the flow.
    struct Margin {
        SimDuration before;  // fill
        SimDuration after;   // drain
    };
    /// docs/design/0001, "Time": the first and the last slice loop pass the other phases, and loops
    /// repeat latencies. The bytes are those of `size` times the overhead; latencies are not.
    [[nodiscard]] Margin margin(Bytes size, std::size_t epoch, const StepCosts& costs,
                                std::int64_t overhead_per_mille) const;
    /// The cut of the channel with the fewest slice loops.
    [[nodiscard]] Cut fewest_loops(Bytes size) const;
    /// Nothing but ring stages over one set of connections a channel.
    [[nodiscard]] bool one_ring() const { return all_rings_ && phases_ == 1; }
    /// Hosts that hold members.
    [[nodiscard]] std::size_t hosts() const { return hosts_; }
    /// As many members on each of them.
    [[nodiscard]] bool spread_evenly() const { return spread_evenly_; }

  private:
    struct Stored {
        std::vector<Int128> num;
        Int128 den;
        std::vector<EdgeLanes> lanes;
    };

    void build_epoch(std::size_t epoch, const Health& health, TrafficScratch& b);
    void add_channel(std::size_t channel, std::size_t epoch, TrafficScratch& b);
    void add_edge(std::size_t channel, std::size_t epoch, std::uint64_t units, SparseSums& phase,
                  TrafficScratch& b, std::int64_t per_mille = 1000) const;
    /// Adds a cell of an in-network stage, if one reducing switch joins its members.
    [[nodiscard]] std::optional<Hop> add_switched(std::size_t channel, std::size_t epoch,
                                                  const Stage& stage, std::uint32_t cell,
                                                  SparseSums& phase, TrafficScratch& b) const;
    void add_stream(std::size_t channel, TrafficScratch& b);
    void store_flows();
    [[nodiscard]] static Int128 handing_on(const Cut& c, const HandOn& h, const StepCosts& costs,
                                           std::int64_t overhead_per_mille);
    void price(std::size_t epoch, const Health& health, TrafficScratch& b);
    void add_spans(std::size_t epoch, const Health& health, const TrafficScratch& b);
    /// Calls see(channel, source, destination, units) for every flow of a direct exchange.
    template <class F>
    void for_each_flow(const F& see) const;
    void lanes_of(std::size_t epoch, std::size_t channel, std::uint32_t src, std::uint32_t dst,
                  EdgeLanes& out) const;
    [[nodiscard]] Int128 weight_of(std::size_t channel) const;

    const PlanTemplate* plan_;
    std::uint64_t plan_key_;
    Int128 total_weight_ = 0;
    std::vector<RankId> members_;
    std::size_t hosts_ = 0;
    bool spread_evenly_ = true;
    const Placement* placement_;
    std::vector<LaneMaker*> makers_;
    const Legs* legs_;
    std::vector<std::uint32_t> phase_of_;  // channel x stage, in order
    std::uint32_t phases_ = 0;
    std::vector<EpochTraffic> epochs_;
    std::vector<Stored> stored_;
    std::int64_t in_network_per_mille_;
    bool flows_ = false;      // direct exchange
    bool all_direct_ = true;  // every stage: slices are handed on one by one
    bool all_rings_ = true;
    bool on_demand_ = false;  // flows that are not stored
};

}  // namespace weft::flow
