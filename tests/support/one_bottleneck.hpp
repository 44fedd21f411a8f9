#pragma once
// OneBottleneck: n senders, one queue, one receiver: the least that shows what a congestion control
// does. Every sender has its own link of line rate; packets reach the queue after half the delay,
// are served first in first out at the capacity, and their ACKs return after the other half. The
// queue marks, reports telemetry, and trims beyond `trim_above` (the sender hears of it as fast as
// of an ACK and sends other bytes instead). One ACK a packet; notifications once an interval.
// Leaves out: everything else, PFC and losses included; it is not the packet engine.
#include <deque>
#include <memory>
#include <queue>
#include <vector>

#include "base/rng.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {

struct BottleneckOptions {
    Bandwidth line{100'000'000'000};
    Bandwidth capacity{100'000'000'000};
    SimDuration delay = us(8);  // there and back, without serialisation
    Bytes packet{4160};
    EcnProfile marking;
    SimDuration notify_every = us(50);
    Bytes trim_above;  // 0: never
    std::uint64_t seed = 1;
};

class OneBottleneck {
  public:
    explicit OneBottleneck(const BottleneckOptions& o);

    /// What a sender is told of its path.
    [[nodiscard]] PathFacts path() const;
    /// Sends without end from `at` on. Returns its number.
    std::size_t add(std::unique_ptr<CongestionControl> cc, SimTime at);
    void set_capacity(Bandwidth c) { capacity_ = c; }
    void run_until(SimTime end);

    [[nodiscard]] const CongestionControl& control(std::size_t flow) const {
        return *flows_[flow].cc;
    }
    [[nodiscard]] Bytes sent(std::size_t flow) const { return flows_[flow].sent; }
    [[nodiscard]] Bytes delivered(std::size_t flow) const { return flows_[flow].delivered; }
    /// Since the last clear(), in time average, and the extremes.
    struct Queue {
        double mean = 0;
        Bytes least, most;
        double marked = 0;  // share of the packets
        Bytes trimmed;
    };
    [[nodiscard]] Queue queue() const;
    void clear();

  private:
    enum class Kind : std::uint8_t { kSend, kArrive, kServed, kAck, kNotify, kNack, kTimer };
    struct Packet {
        SimTime sent;
        bool marked = false;
        HopTelemetry hop;
    };
    struct Event {
        SimTime at;
        std::uint64_t order = 0;
        Kind kind = Kind::kSend;
        std::uint32_t flow = 0;
        Packet packet;
        bool operator>(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
    };
    struct Flow {
        std::unique_ptr<CongestionControl> cc;
        SimTime next_send;
        SimTime send_event = SimTime::never(), timer_event = SimTime::never();
        SimTime notify_from;
        Bytes sent, acked, delivered, in_flight;
    };

    void post(SimTime at, Kind kind, std::uint32_t flow, const Packet& packet);
    void post(SimTime at, Kind kind, std::uint32_t flow) { post(at, kind, flow, Packet{}); }
    void handle(const Event& e);
    void after_callback(std::uint32_t flow);
    void try_send(std::uint32_t flow);
    void arrive(std::uint32_t flow, Packet packet);
    void serve();
    void served(std::uint32_t flow, Packet packet);
    void count_queue();

    BottleneckOptions o_;
    Bandwidth capacity_;
    SimTime now_;
    std::uint64_t order_ = 0;
    std::vector<Flow> flows_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::deque<std::pair<std::uint32_t, Packet>> waiting_;
    bool busy_ = false;
    Bytes queued_, left_;
    RandomStream random_;
    // Statistics.
    SimTime counted_to_, counted_from_;
    double area_ = 0;
    Bytes least_, most_, trimmed_;
    std::int64_t packets_ = 0, marks_ = 0;
};

/// Jain's index of fairness: 1 when all are equal, 1/n when one has all.
[[nodiscard]] double jain(const std::vector<double>& shares);

}  // namespace weft
