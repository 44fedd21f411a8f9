// NSCC: Ultra Ethernet's congestion control by network signals. UEC specification 1.0, section
// 3.6.13; constants of its reference simulation (facts C2, NSCC; referees.json).
// What an ACK says of mark and delay (round trip - base) picks the answer, target = part x base:
//   no mark, delay < target    proportional increase: sum += alpha x acked x (target - delay); or,
//                              after a window of delays below 1 us, cwnd += fi_scale x acked at
//                              once
//   no mark, delay >= target   fair increase: sum += fi x acked (a queue that drains)
//   mark, delay < target       nothing
//   mark, delay >= target      once a base round trip, with the average delay beyond target:
//                              cwnd *= max(1 - gamma (average - target) / average, 1/2)
//   every 8 packets acked or base round trip   cwnd += sum / cwnd; per round trip cwnd += eta
//   quick adapt  once per base + target, after losses or an average delay beyond 4 targets: when
//                less than 1/8 of the largest window arrived, cwnd = what arrived; what was in
//                flight then is ignored
// Scales: a = BDP / (100 Gb/s x 12 us), b = target / 12 us; alpha = 4 packets a b / target, fi = 5
// packets a, fi_scale = a / 4, eta = 0.15 packets a, gamma 0.8, weight of a delay 0.0125; largest
// window 1.5 BDP, where it starts; smallest one packet. target: 75 % of the base round trip with
// trimming, 100 % without. Packets count with headers, where the reference counts payload (1.5 %).
// Target, scales and periods are made from network-rtt: in the reference the base round trip of the
// longest path for everybody, here by default this path's own. Delay and the largest window are
// this path's own in both (the reference measures them).
// Marking: linear from 0.2 to 0.8 BDP (facts C2, UET misc). Leaves out: receiver credits
// (credits.hpp), load balancing's share of marks, service time of the receiver.
#include "flow_control/cc/bounds.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

constexpr double kReferenceTrip = 12e6;        // ps
constexpr double kReferenceProduct = 150'000;  // bytes: 100 Gb/s x 12 us
constexpr double kDelayGain = 0.0125;
constexpr double kGamma = 0.8;
constexpr double kMostCut = 0.5;
constexpr double kIdleDelay = 1e6;   // ps: below it the network is idle
constexpr double kFarBeyond = 4;     // targets: quick adapt
constexpr double kLittle = 1.0 / 8;  // of the largest window: quick adapt

class Nscc final : public CongestionControl {
  public:
    Nscc(double part, SimDuration network, const PathFacts& path)
        : packet_(as_double(path.packet)),
          idle_rtt_(as_double(path.base_rtt)),
          base_(std::max(1.0, as_double(network))),
          target_(part * base_),
          scale_(as_double(product(network, path)) / kReferenceProduct),
          slope_(4 * packet_ * scale_ * (target_ / kReferenceTrip) / target_),
          most_(std::max(packet_, 1.5 * as_double(path_product(path)))),
          size_(most_) {
        rate_ = path.line_rate;
        answer();
    }

    void on_ack(const Ack& ack) override {
        if (!started_) {
            started_ = true;
            adjusted_ = cut_ = ack.now;
            adapt_at_ = ack.now + period();
        }
        in_flight_ = std::max(0.0, as_double(ack.in_flight));
        const double acked = std::max(0.0, as_double(ack.acked));
        const double delay = within(as_double(ack.rtt) - idle_rtt_, 0, 1e15);
        const bool marked = ack.marked > Bytes{0};
        average(delay, marked);
        arrived_ += acked;
        if (ignored_ < ignore_) {
            ignored_ += acked;
            return;
        }
        if (!quick_adapt(ack.now)) {
            respond(ack.now, acked, delay, marked);
            adjust(ack.now, acked);
        }
        answer();
    }
    void on_nack(SimTime now, Bytes lost) override {
        if (!started_ || lost <= Bytes{0}) return;
        lost_ = true;
        if (ignored_ < ignore_) return;
        size_ -= as_double(lost);
        answer();
        quick_adapt(now);
        answer();
    }
    void on_timeout(SimTime) override {
        lost_ = true;
        size_ -= packet_;
        answer();
    }

  private:
    [[nodiscard]] static Bytes product(SimDuration trip, const PathFacts& path) {
        return std::max(path.packet, bytes_in(trip, path.line_rate));
    }
    [[nodiscard]] SimDuration period() const {
        return ps(static_cast<std::int64_t>(base_ + target_));
    }

    /// An unmarked packet behind a long queue saw it drain: the average then falls.
    void average(double delay, bool marked) {
        const double sample = !marked && delay > target_ ? base_ / 4 : delay;
        average_ += kDelayGain * (sample - average_);
    }

    bool quick_adapt(SimTime now) {
        if (now <= adapt_at_) return false;
        const bool bad = lost_ || average_ > kFarBeyond * target_;
        const bool act = bad && arrived_ < most_ * kLittle && arrived_ < size_;
        if (act) {
            size_ = arrived_;
            ignore_ = in_flight_;
            ignored_ = sum_ = since_ = 0;
            lost_ = false;
        }
        arrived_ = 0;
        adapt_at_ = now + period();
        return act;
    }

    void respond(SimTime now, double acked, double delay, bool marked) {
        if (!marked && delay < target_) {
            if (!fast_increase(acked, delay)) sum_ += slope_ * acked * (target_ - delay);
            return;
        }
        idle_ = 0;
        fast_ = false;
        if (!marked) {
            sum_ += 5 * packet_ * scale_ * acked;
        } else if (delay >= target_ && average_ > target_ && as_double(now - cut_) > base_) {
            size_ *= std::max(1 - kGamma * (average_ - target_) / average_, kMostCut);
            cut_ = now;
        }
    }

    /// Once a whole window saw an idle network.
    bool fast_increase(double acked, double delay) {
        idle_ = delay < kIdleDelay ? idle_ + acked : 0;
        fast_ = delay < kIdleDelay && (fast_ || idle_ > size_);
        if (fast_) size_ += acked * scale_ / 4;
        return fast_;
    }

    void adjust(SimTime now, double acked) {
        since_ += acked;
        const bool trip = as_double(now - adjusted_) >= base_;
        if (since_ < 8 * packet_ && !trip) return;
        size_ += sum_ / std::max(size_, packet_);
        if (trip) {
            size_ += 0.15 * packet_ * scale_;
            adjusted_ = now;
        }
        sum_ = since_ = 0;
    }

    void answer() {
        size_ = within(size_, packet_, most_);
        window_ = Bytes{static_cast<std::int64_t>(size_)};
    }

    double packet_;
    double idle_rtt_;  // of this path, against which delay counts
    double base_, target_, scale_, slope_, most_;
    double size_;
    double average_ = 0;          // delay, ps
    double sum_ = 0, since_ = 0;  // increase to come x cwnd; bytes since the last adjustment
    double idle_ = 0;             // bytes acked without delay
    double arrived_ = 0;          // since the last look at quick adapt
    double in_flight_ = 0, ignore_ = 0, ignored_ = 0;
    bool fast_ = false, lost_ = false, started_ = false;
    SimTime adjusted_, cut_, adapt_at_;
};

EcnProfile marking(Bandwidth rate, const PathFacts& path) {
    const Bytes product = std::max(path.packet, bytes_in(path.base_rtt, rate));
    return {.on = true, .low = product / 5, .high = product * 4 / 5};
}

}  // namespace

CongestionRegistry::Row nscc_row() {
    return {
        {"nscc",
         "Ultra Ethernet's window from marks and delay",
         "Ultra Ethernet specification 1.0, section 3.6.13; constants of its reference simulation",
         {{"target", "%", "75%", "queue delay, of the base round trip; 100% without trimming"},
          {"network-rtt", "time", "path",
           "base round trip that windows and targets are made from"}}},
        {{.trimming = true, .marking = marking},
         [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
             const SimDuration network =
                 p.is("network-rtt", "path") ? path.base_rtt : p.duration("network-rtt");
             if (network > ms(1000)) p.reject("network-rtt", "at most 1s", "8us");
             return std::make_unique<Nscc>(
                 static_cast<double>(p.share("target", 1'000'000, 10'000'000'000)) / 1e9, network,
                 path);
         }}};
}

}  // namespace weft
