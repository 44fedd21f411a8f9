// HPCC: a window from what every hop reports. Li et al., HPCC: High Precision Congestion Control,
// SIGCOMM 2019, algorithm 1 and equations 2 to 4.
//   per hop      u = min(queue, queue before) / (B T) + (bytes sent since) / (B x time since)
//   U            the largest u, averaged over a round trip: weight min(time since, T) / T
//   window       U >= eta or max_stage rounds of growth: W = Wc / (U / eta) + W_ai, else Wc + W_ai
//   once a round trip Wc = W; in between W is worked out from the same Wc (fast reaction without
//   reacting twice); rate = W / T.
// T is the path's base round trip. W never exceeds line rate x T. Leaves out: losses, several paths
// of one sender (their hops would be compared with each other), hops whose
// counters run backwards (ignored), the 8-bit encodings of the telemetry header.
// Defaults: eta 95 %, max_stage 5 (paper, section 5.1); W_ai = 10 Mb/s per 25 Gb/s of port x T, as
// the authors' ns-3 configuration has it (facts C2; the paper's 80 B at 100 Gb/s and 13 us).
#include <array>

#include "flow_control/cc/bounds.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

class Hpcc final : public CongestionControl {
  public:
    Hpcc(double eta, int stages, Bandwidth step, const PathFacts& path)
        : eta_(eta),
          stages_(stages),
          path_(path),
          trip_(std::max(1.0, as_double(path.base_rtt))),
          step_(as_double(step) * trip_ / 8e12),
          most_(as_double(path.line_rate) * trip_ / 8e12),
          reference_(most_),
          wanted_(most_) {
        answer();
    }

    void on_ack(const Ack& ack) override {
        if (ack.hops.empty() || ack.hops.size() > kMostHops) return;
        const bool measured = measure(ack.hops);
        remember(ack.hops);
        if (!measured) return;
        const bool new_trip = ack.acked_to > trip_ends_;
        react(new_trip);
        if (new_trip) trip_ends_ = round_trip_end(ack);
        answer();
    }

  private:
    static constexpr std::size_t kMostHops = 16;

    /// Brings U up to date; false when nothing new was seen.
    bool measure(std::span<const HopTelemetry> hops) {
        if (hops.size() != known_) return false;
        double most = -1;
        double since = 0;
        for (std::size_t i = 0; i < known_; ++i) {
            const HopTelemetry& a = before_[i];
            const HopTelemetry& b = hops[i];
            if (b.at <= a.at || b.sent < a.sent || b.rate <= Bandwidth{0}) continue;
            const double time = as_double(b.at - a.at);
            const double rate = as_double(b.rate) / 8e12;  // bytes a picosecond
            const double queue = as_double(std::max(Bytes{0}, std::min(a.queue, b.queue)));
            const double u = queue / (rate * trip_) + as_double(b.sent - a.sent) / time / rate;
            if (u > most) most = u, since = time;
        }
        if (most < 0) return false;
        const double weight = std::min(since, trip_) / trip_;
        used_ = within((1 - weight) * used_ + weight * most, 0, 1e6);
        return true;
    }

    void remember(std::span<const HopTelemetry> hops) {
        known_ = hops.size();
        std::copy(hops.begin(), hops.end(), before_.begin());
    }

    void react(bool new_trip) {
        const bool multiply = used_ >= eta_ || stage_ >= stages_;
        // U / eta near 0 asks for more than there is; the bound below holds it.
        wanted_ =
            multiply ? reference_ / (std::max(used_, 1e-3) / eta_) + step_ : reference_ + step_;
        wanted_ = within(wanted_, step_, most_);
        if (!new_trip) return;
        stage_ = multiply ? 0 : stage_ + 1;
        reference_ = wanted_;
    }

    void answer() {
        window_ = std::max(path_.packet, Bytes{static_cast<std::int64_t>(wanted_)});
        rate_ = rate_within(wanted_ * 8e12 / trip_, Bandwidth{1}, path_.line_rate);
    }

    double eta_;
    int stages_;
    PathFacts path_;
    double trip_;       // T, ps
    double step_;       // W_ai, bytes
    double most_;       // line rate x T
    double reference_;  // Wc
    double wanted_;     // W
    double used_ = 1;   // U: a sender starts at line rate, as if the path were full
    int stage_ = 0;
    std::uint64_t trip_ends_ = 0;
    std::size_t known_ = 0;
    std::array<HopTelemetry, kMostHops> before_{};
};

}  // namespace

CongestionRegistry::Row hpcc_row() {
    return {{"hpcc",
             "A window from the load and queue that every hop reports",
             "Li et al., HPCC: High Precision Congestion Control, SIGCOMM 2019, algorithm 1",
             {{"utilisation", "%", "95%", "eta: how full a link should be"},
              {"stages", "round trips", "5", "maxStage: of growth before a measured one"},
              {"step", "bit/s", "port", "W_ai / T; port: 10 Mb/s per 25 Gb/s of the port"}}},
            {{.telemetry = true},
             [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
                 const Bandwidth step = p.rate_or(
                     "step", "port",
                     scaled_to(path.line_rate, Bandwidth{10'000'000}, Bandwidth{25'000'000'000}));
                 return std::make_unique<Hpcc>(
                     static_cast<double>(p.share("utilisation", 10'000'000, 1'000'000'000)) / 1e9,
                     p.count("stages", 0, 1000), std::min(step, path.line_rate), path);
             }}};
}

}  // namespace weft
