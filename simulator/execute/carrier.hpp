#pragma once
// Carrier: what moves the bytes of collectives that have begun. The machine decides who starts what
// when; a carrier says when it is done. Fluid streams (FlowCarrier) and packets (PacketCarrier) are
// the two; both see groups by class, a packet carrier with classes of one.
#include <cstdint>
#include <vector>

#include "simulator/endpoint/endpoint.hpp"
#include "simulator/flow/fluid.hpp"

namespace weft {

/// One class of groups of a set.
struct GroupRef {
    std::uint32_t set = 0;
    flow::ClassId id = 0;
    bool operator==(const GroupRef&) const = default;
};

/// A collective whose bytes begin now: its launch and messages lie behind it.
struct Carried {
    GroupRef group;
    std::uint32_t index = 0;  // of the class's first group among those of the set
    std::uint16_t variant = 0;
    Bytes size;
    EndpointPrice price;
};

class Carrier {
  public:
    virtual ~Carrier() = default;
    virtual void start(const Carried& c, SimTime now) = 0;
    /// All starts and ends of `now` are known.
    virtual void settle(SimTime now) = 0;
    /// When the next group is done, if not after `limit`; else any later time, or never().
    [[nodiscard]] virtual SimTime next_end(SimTime limit) = 0;
    /// The groups that are done at `now`.
    virtual void take_ended(SimTime now, std::vector<GroupRef>& ended) = 0;
    /// Links, and perhaps paths, are those of an epoch from now on.
    virtual void set_epoch(std::size_t epoch, SimTime now) = 0;
    [[nodiscard]] virtual bool idle() const = 0;
    /// After the bytes are done, the group ends so much later.
    [[nodiscard]] virtual SimDuration after(const EndpointPrice& price) const = 0;
    /// Before the bytes begin.
    [[nodiscard]] virtual SimDuration before(const EndpointPrice& price) const = 0;
    /// Payload carried by a link so far, in bits, and how long the link has carried any.
    [[nodiscard]] virtual Int128 carried_bits(LinkId link) const = 0;
    [[nodiscard]] virtual SimDuration busy(LinkId link) const = 0;
    /// What happened to packets, where there are any.
    [[nodiscard]] virtual PacketSummary summary() const { return {}; }
};

/// Bytes as fluid streams.
class FlowCarrier final : public Carrier {
  public:
    /// Both outlive this.
    FlowCarrier(const flow::Universe& u, const flow::Quotient& q, flow::Sharing sharing);

    void start(const Carried& c, SimTime now) override;
    void settle(SimTime now) override { fluid_.settle(now); }
    [[nodiscard]] SimTime next_end(SimTime) override { return fluid_.next_end(); }
    void take_ended(SimTime now, std::vector<GroupRef>& ended) override;
    void set_epoch(std::size_t epoch, SimTime now) override { fluid_.set_epoch(epoch, now); }
    [[nodiscard]] bool idle() const override { return fluid_.idle(); }
    [[nodiscard]] SimDuration after(const EndpointPrice& p) const override { return p.after; }
    [[nodiscard]] SimDuration before(const EndpointPrice& p) const override { return p.before; }
    [[nodiscard]] Int128 carried_bits(LinkId link) const override;
    [[nodiscard]] SimDuration busy(LinkId link) const override;

  private:
    const flow::Quotient* q_;
    flow::Fluid fluid_;
    std::vector<GroupRef> group_of_stream_;
    std::vector<std::vector<std::uint32_t>> streams_left_;  // by set, by group class
    std::vector<flow::ClassId> ended_;
};

}  // namespace weft
