#pragma once
// PacketCarrier: collectives as packets. Every rank of a group runs its Plan by its own Cursor;
// each operation is a message on the queue pairs of its edge, and what waits for what is what the
// Plan says.
//
// Models: queue pairs as the library has them (disjoint paths, four a NIC port where it does not
// say how many, and least outstanding bytes; or hashed with a static split; PXN through the
// scale-up link); the launch, and the cost of a step of the protocol after each arrival; bytes of
// the protocol; failures: links change at once, queue pairs move to new paths after the convergence
// and send again what was not acknowledged; what a scale-up switch reduces or multicasts: every
// part goes to the switch once, and one copy to each who gets it, as soon as the switch has the
// whole message. Leaves out: PCIe except its latency, messages that wait for their receiver (they
// are kept until it asks), a switch's limits. The rate of a link is what the endpoint leaves of it,
// plus the headers that packets add, at most nominal. Cost: a Cursor for every rank of a running
// collective, besides the packets (network.hpp).
#include <deque>
#include <memory>
#include <queue>
#include <unordered_map>
#include <vector>

#include "collectives/plan/cursor.hpp"
#include "flow_control/lb/least_outstanding.hpp"
#include "simulator/execute/carrier.hpp"
#include "simulator/packet/completions.hpp"
#include "simulator/packet/troubles.hpp"

namespace weft {

class PacketCarrier final : public Carrier {
  public:
    /// Everything given outlives this.
    PacketCarrier(const Scenario& s, const flow::Universe& u,
                  const std::vector<flow::LaneMaker*>& makers, const std::deque<Health>& known);
    ~PacketCarrier() override;

    void start(const Carried& c, SimTime now) override;
    void settle(SimTime) override {}
    [[nodiscard]] SimTime next_end(SimTime limit) override;
    void take_ended(SimTime now, std::vector<GroupRef>& ended) override;
    void set_epoch(std::size_t epoch, SimTime now) override;
    [[nodiscard]] bool idle() const override { return running_ == 0; }
    [[nodiscard]] SimDuration after(const EndpointPrice&) const override { return {}; }
    [[nodiscard]] SimDuration before(const EndpointPrice& p) const override { return p.entry; }
    [[nodiscard]] Int128 carried_bits(LinkId link) const override;
    [[nodiscard]] SimDuration busy(LinkId link) const override;

    /// What happened so far.
    [[nodiscard]] PacketSummary summary() const override;

  private:
    /// One path of an edge, made when it is first used.
    struct Lane {
        packet::ConnectionId connection = packet::kNone;
        SimDuration outside;  // latency of PCIe at the ends
        Bytes alone_for;      // a message of this size
        SimDuration alone;    // takes so long on idle links
    };
    /// The lanes that leave by one NIC port, among which each message picks the least loaded; where
    /// bytes are split statically, every lane by itself.
    struct Port {
        std::vector<Lane> lanes;
        LeastOutstanding balance;
    };
    /// All lanes from one rank to another (of one channel, where queue pairs are hashed).
    struct Pipe {
        RankId src;
        RankId dst;
        std::int32_t rail = kAny;
        std::uint32_t channel = 0;
        bool scale_up = false;
        bool to_switch = false;   // between a rank and its scale-up switch, either way
        std::vector<Port> ports;  // bytes are split evenly over them
    };
    struct Member {
        std::unique_ptr<Cursor> cursor;
        // By (channel, stage, peer, sequence), looked up only.
        std::unordered_map<std::uint64_t, Operation> asked;
        std::unordered_map<std::uint64_t, char> early;
        bool finished = false;
    };
    struct Job {
        Carried what;
        const PlanTemplate* plan = nullptr;
        std::vector<RankId> ranks;
        std::vector<Member> members;
        std::size_t left = 0;  // members not done
        SimTime start;
        /// By channel, stage and cell: a switch carries it. Empty for stages that ask for none.
        std::vector<std::vector<std::vector<char>>> switched;
    };
    /// One operation on its way.
    struct Transit {
        std::uint32_t job = 0;
        std::uint32_t src = 0;  // members
        std::uint32_t dst = 0;
        Operation op;
        std::uint32_t pipe = 0;
        std::uint32_t to_arrive = 0;  // messages
        std::uint32_t to_acknowledge = 0;
        bool done_there = false;  // the receiver has it
        bool done_here = false;   // and the sender knows
    };
    enum class Role : std::uint8_t { kWhole, kToReduce, kToMulticast, kReduced, kCopy };
    struct Part {
        std::uint32_t transit = packet::kNone;  // none: what an owner gives or gets itself
        std::uint32_t merge = packet::kNone;
        Role role = Role::kWhole;
        std::uint32_t pipe = 0;
        std::uint32_t port = 0;
        std::uint32_t lane = 0;
        Bytes bytes;
        SimTime posted;
    };
    /// One chunk on its way through a scale-up switch: a reduction to its owner, or a multicast.
    struct Merge {
        std::uint64_t key = 0;
        std::uint32_t job = 0;
        std::uint32_t owner = 0;  // member
        std::uint32_t channel = 0;
        bool reduces = false;
        bool given = false;         // the owner has asked for it, or given it
        bool at_switch = false;     // of a multicast
        bool acknowledged = false;  // of a multicast
        std::uint32_t members = 0;
        std::uint32_t to_come = 0;  // parts of a reduction
        Bytes bytes;
        std::vector<std::uint32_t> waiting;  // transits that it ends
    };
    enum class Due : std::uint8_t { kArrived, kMerged, kEnded };
    struct Timer {
        SimTime at;
        std::uint64_t order;
        Due what;
        std::uint32_t index;
        bool operator>(const Timer& o) const { return at != o.at ? at > o.at : order > o.order; }
    };

    void set_links(SimTime now);
    void catch_up(SimTime now);
    void hear();
    [[noreturn]] void complain(const Pipe& p) const;
    void fire();
    void pump(std::uint32_t job, std::uint32_t member);
    void ask(std::uint32_t job, std::uint32_t member, const Operation& op);
    void post(std::uint32_t job, std::uint32_t member, const Operation& op);
    void arrived(std::uint32_t transit);
    void finish_member(std::uint32_t job, std::uint32_t member);
    void release_if_done(std::uint32_t transit);
    [[nodiscard]] std::uint32_t pipe_of(RankId src, RankId dst, std::uint32_t channel,
                                        std::int32_t rail);
    [[nodiscard]] std::vector<std::vector<Route>> routes_of(const Pipe& p, std::size_t most) const;
    void make_ports(Pipe& p);
    [[nodiscard]] Lane& lane_of(Pipe& p, std::uint32_t port, std::uint32_t lane);
    void reroute(Pipe& p);
    void send_on(std::uint32_t pipe, std::uint32_t port, Bytes bytes, Part part);
    [[nodiscard]] Bytes bytes_of(const Job& job, const Operation& op) const;

    // packet_merges.cpp
    void find_switches(Job& job) const;
    [[nodiscard]] static bool switched(const Job& job, std::uint32_t member, const Operation& op);
    [[nodiscard]] std::uint32_t merge_of(std::uint32_t job, std::uint32_t owner,
                                         const Operation& op);
    [[nodiscard]] Bytes switched_bytes(const Job& job, const Operation& op) const;
    [[nodiscard]] std::uint32_t switch_pipe(RankId rank, std::uint32_t channel, bool up,
                                            bool reducing);
    void give(std::uint32_t merge, RankId from, std::uint32_t transit);
    void hand_out(std::uint32_t merge, std::uint32_t to, std::uint32_t transit);
    void post_switched(std::uint32_t id, std::uint32_t member, const Operation& op);
    void pull(std::uint32_t job, std::uint32_t member, const Operation& op);
    void at_switch(std::uint32_t merge);
    void switch_acknowledged(const Part& part);
    void merged(std::uint32_t merge);
    void forget_if_done(std::uint32_t merge);

    template <class T>
    static std::uint32_t take(std::vector<T>& all, std::vector<std::uint32_t>& free) {
        if (free.empty()) {
            all.emplace_back();
            return static_cast<std::uint32_t>(all.size() - 1);
        }
        const std::uint32_t i = free.back();
        free.pop_back();
        return i;
    }
    [[nodiscard]] static bool goes_to_switch(const Part& p) {
        return p.role == Role::kToReduce || p.role == Role::kToMulticast;
    }
    void part_arrived(const Part& part);
    void part_acknowledged(const Part& part);
    void after(SimDuration wait, Due what, std::uint32_t index);
    void note_time(const Pipe& p, Lane& l, const Part& part);

    const Scenario* s_;
    const flow::Universe* u_;
    const std::vector<flow::LaneMaker*>* makers_;  // by lane epoch
    const std::deque<Health>* known_;              // by lane epoch
    packet::Troubles troubles_;
    packet::Network network_;
    std::size_t epoch_ = 0;
    std::vector<Pipe> pipes_;
    std::unordered_map<std::uint64_t, std::uint32_t> pipe_index_;  // looked up only
    std::vector<Job> jobs_;
    std::vector<std::uint32_t> free_jobs_;
    std::vector<Transit> transits_;
    std::vector<std::uint32_t> free_transits_;
    std::vector<Part> parts_;  // messages in the network, by their names
    std::vector<std::uint32_t> free_parts_;
    std::vector<Merge> merges_;
    std::vector<std::uint32_t> free_merges_;
    std::unordered_map<std::uint64_t, std::uint32_t> merge_index_;   // looked up only
    std::unordered_map<std::uint64_t, std::uint32_t> switch_pipes_;  // looked up only
    std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
    std::uint64_t order_ = 0;
    std::vector<GroupRef> ended_;
    std::size_t running_ = 0;
    packet::CompletionTimes network_times_;
    packet::CompletionTimes scale_up_times_;
};

}  // namespace weft
