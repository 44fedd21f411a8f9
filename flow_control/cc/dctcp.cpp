// DCTCP: cuts in proportion to the share of marked bytes. Alizadeh et al., Data Center TCP, SIGCOMM
// 2010, section 3.1.
//   once a round trip   alpha = (1 - g) alpha + g x (marked / acked)             equation 1
//   marked trip         W = W (1 - alpha / 2), once a round trip                 equation 2
//   else                W += 1 packet a round trip
// Form `window` is the paper's; it starts with the path's product instead of slow start, as RDMA
// senders do. Form `rate` is what HPCC's ns-3 runs beside RDMA: the same law on a rate that starts
// at line rate, without a window (facts C2: 615 Mb/s = one packet of 1000 B per 13 us, so the
// default step is one packet per base round trip in both forms). alpha starts at 1 (referees).
// A window grows only while at least half of it is in use (RFC 7661). Losses: half, once a round
// trip; a timeout leaves one packet. Leaves out: delayed-ACK state of the receiver (ACKs say how
// many bytes were marked), slow start. Marking: a step at 30 KB per 10 Gb/s (facts C2), on arrival.
// g = 1/16.
#include "flow_control/cc/bounds.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

class Dctcp final : public CongestionControl {
  public:
    /// Sizes are windows in bytes; the rate form keeps rate x base round trip as its window.
    Dctcp(double gain, bool by_rate, bool window, Bandwidth step, const PathFacts& path)
        : gain_(gain),
          by_rate_(by_rate),
          rate_window_(window),
          path_(path),
          trip_(std::max(1.0, as_double(path.base_rtt))),
          step_(as_double(step) * trip_ / 8e12),
          full_(as_double(path.line_rate) * trip_ / 8e12),
          least_(by_rate ? step_ / 16 : as_double(path.packet)),
          // A window holds a queue besides the path; marks bound it, and this where nothing marks.
          most_(by_rate ? full_ : 16 * std::max(full_, as_double(path.packet))),
          size_(std::max(full_, least_)) {
        answer();
    }

    void on_ack(const Ack& ack) override {
        acked_to_ = ack.acked_to, sent_to_ = round_trip_end(ack);
        acked_ += as_double(ack.acked);
        marked_ += std::min(as_double(ack.marked), as_double(ack.acked));
        if (acked_to_ > trip_ends_ && acked_ > 0) end_trip();
        if (ack.marked > Bytes{0}) {
            cut(1 - alpha_ / 2);
        } else if (acked_to_ > cut_ends_ && ack.acked > Bytes{0} &&
                   (by_rate_ || uses_window(ack, size_))) {
            // One step a round trip, spread over what one acknowledges: what was in flight.
            size_ += step_ * within(as_double(ack.acked) /
                                        (as_double(ack.in_flight) + as_double(ack.acked)),
                                    0, 1);
        }
        answer();
    }
    void on_nack(SimTime, Bytes lost) override {
        if (lost > Bytes{0}) cut(0.5);
        answer();
    }
    void on_timeout(SimTime) override {
        size_ = least_;
        answer();
    }

  private:
    void end_trip() {
        alpha_ = within(alpha_ + gain_ * (marked_ / acked_ - alpha_), 0, 1);
        acked_ = marked_ = 0;
        trip_ends_ = sent_to_;
    }
    /// Not again until what is in flight now has been answered.
    void cut(double factor) {
        if (acked_to_ <= cut_ends_ && cut_ends_ > 0) return;
        size_ *= factor;
        cut_ends_ = std::max<std::uint64_t>(1, sent_to_);
    }
    void answer() {
        size_ = within(size_, least_, most_);
        if (by_rate_) {
            rate_ = rate_within(size_ * 8e12 / trip_, Bandwidth{1}, path_.line_rate);
            if (rate_window_) window_ = window_at(path_, rate_);
        } else {
            rate_ = path_.line_rate;
            window_ = std::max(path_.packet, Bytes{static_cast<std::int64_t>(size_)});
        }
    }

    double gain_;
    bool by_rate_, rate_window_;
    PathFacts path_;
    double trip_, step_, full_, least_, most_;
    double size_;
    double alpha_ = 1;
    double acked_ = 0, marked_ = 0;  // this round trip
    std::uint64_t trip_ends_ = 0, cut_ends_ = 0;
    std::uint64_t acked_to_ = 0, sent_to_ = 0;
};

EcnProfile marking(Bandwidth rate, const PathFacts&) {
    const Bytes step = scaled_to(rate, Bytes{30'000}, Bandwidth{10'000'000'000});
    return {.on = true, .low = step, .high = step, .at_dequeue = false};
}

}  // namespace

CongestionRegistry::Row dctcp_row() {
    return {{"dctcp",
             "Cuts in proportion to the share of marked bytes",
             "Alizadeh et al., Data Center TCP, SIGCOMM 2010; rate form: Li et al. (HPCC), SIGCOMM "
             "2019, their ns-3 configuration",
             {{"form", "", "window", "window, rate, or both: a rate and a window in step with it"},
              {"gain", "%", "6.25%", "g"},
              {"step", "bit/s", "packet", "growth a round trip; packet: one a base round trip"}}},
            {{.marking = marking},
             [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
                 const SimDuration trip = std::max(path.base_rtt, ps(1));
                 const Int128 packet = Int128{path.packet.count()} * 8'000'000'000'000 / trip.ps();
                 const Bandwidth step =
                     p.rate_or("step", "packet",
                               Bandwidth{static_cast<std::int64_t>(
                                   std::min<Int128>(packet, path.line_rate.bits_per_second()))});
                 const std::size_t form = p.choice("form", {"window", "rate", "both"});
                 return std::make_unique<Dctcp>(
                     static_cast<double>(p.share("gain", 1, 1'000'000'000)) / 1e9, form > 0,
                     form == 2, std::min(step, path.line_rate), path);
             }}};
}

}  // namespace weft
