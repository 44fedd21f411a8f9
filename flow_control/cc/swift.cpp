// Swift: a window that keeps the delay at a target. Kumar et al., Swift: Delay is Simple and
// Effective for Congestion Control in the Datacenter, SIGCOMM 2020, algorithm 1, equations 2 and 3.
//   target     base + hops x per_hop + flow scaling
//   flows      clamp(a / sqrt(cwnd) + b, 0, range), a = range / (1/sqrt(low) - 1/sqrt(high)),
//              b = -a / sqrt(high): many flows mean small windows and need a longer queue
//   below it   cwnd += ai x acked / cwnd (cwnd >= 1 packet), else ai x acked
//   above      once a round trip cwnd *= max(1 - beta (delay - target) / delay, 1 - mdf)
//   loss       cwnd *= 1 - mdf once a round trip; after 5 timeouts in a row the smallest window
//   cwnd < 1   one packet in flight, paced at cwnd packets a round trip
// The window grows only while at least half of it is in use, so that a sender that its port or its
// work holds back does not gather one that it has not earned (RFC 7661, for TCP).
// delay is the whole round trip. Leaves out: the second window for delay in end hosts and the split
// of the two by NIC time stamps.
// Defaults (facts C2, the public simulation of csg-htsim, whose authors call several guesses): base
// 20 us, per hop base / 6.55, range 5 x base, low 0.1, high 100 packets, ai 1, beta 0.8, mdf 0.5;
// start at 15 packets, at most 1000 (referees).
#include <cmath>

#include "flow_control/cc/bounds.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

struct Settings {
    double fixed;  // ps: base + hops x per_hop
    double range, low, high;
    double increase, beta, most_cut;
    double start, most;  // packets
};

class Swift final : public CongestionControl {
  public:
    Swift(const Settings& s, const PathFacts& path)
        : s_(s), path_(path), round_trip_(as_double(path.base_rtt)), packets_(s.start) {
        slope_ = s.range / (1 / std::sqrt(s.low) - 1 / std::sqrt(s.high));
        offset_ = -slope_ / std::sqrt(s.high);
        answer();
    }

    void on_ack(const Ack& ack) override {
        timeouts_ = 0;
        if (ack.acked <= Bytes{0}) return;
        const double delay = within(as_double(ack.rtt), 1, 1e18);
        const double goal = target();
        round_trip_ += (delay - round_trip_) / 8;
        const double acked = as_double(ack.acked) / as_double(path_.packet);
        if (delay < goal) {
            if (uses_window(ack, packets_ * as_double(path_.packet)))
                packets_ += s_.increase * acked / std::max(1.0, packets_);
        } else {
            cut(ack.now, std::max(1 - s_.beta * (delay - goal) / delay, 1 - s_.most_cut));
        }
        answer();
    }
    void on_nack(SimTime now, Bytes lost) override {
        timeouts_ = 0;
        if (lost > Bytes{0}) cut(now, 1 - s_.most_cut);
        answer();
    }
    void on_timeout(SimTime now) override {
        if (++timeouts_ >= kResetAfter) {
            packets_ = kLeast;
        } else {
            cut(now, 1 - s_.most_cut);
        }
        answer();
    }

  private:
    static constexpr int kResetAfter = 5;
    static constexpr double kLeast = 0.01;  // packets

    [[nodiscard]] double target() const {
        return s_.fixed + within(slope_ / std::sqrt(packets_) + offset_, 0, s_.range);
    }
    /// At most once a round trip.
    void cut(SimTime now, double factor) {
        if (cut_before_ && as_double(now - last_cut_) < round_trip_) return;
        packets_ *= factor;
        last_cut_ = now;
        cut_before_ = true;
    }
    void answer() {
        packets_ = within(packets_, kLeast, s_.most);
        if (packets_ >= 1) {
            window_ = Bytes{static_cast<std::int64_t>(packets_ * as_double(path_.packet))};
            rate_ = path_.line_rate;
        } else {
            window_ = path_.packet;
            rate_ = rate_within(packets_ * as_double(path_.packet) * 8e12 / round_trip_,
                                Bandwidth{1}, path_.line_rate);
        }
    }

    Settings s_;
    PathFacts path_;
    double slope_, offset_;  // of flow scaling
    double round_trip_;      // smoothed, ps
    double packets_;         // cwnd
    int timeouts_ = 0;
    bool cut_before_ = false;
    SimTime last_cut_;
};

Settings settings_of(const Parameters& p, const PathFacts& path) {
    const auto time = [&](const char* key) {
        const SimDuration d = p.duration(key);
        if (d > ms(1000)) p.reject(key, "0 to 1s", "20us");
        return as_double(d);
    };
    const auto part = [&](const char* key, std::int64_t high) {
        return static_cast<double>(p.share(key, 1'000'000, high)) / 1e9;
    };
    Settings s{.fixed = 0,
               .range = time("range"),
               .low = part("low", 1'000'000'000),
               .high = p.count("high", 2, 1'000'000) * 1.0,
               .increase = p.count("increase", 1, 1000) * 1.0,
               .beta = part("beta", 1'000'000'000),
               .most_cut = part("most-cut", 990'000'000),
               .start = p.count("start", 1, 1'000'000) * 1.0,
               .most = p.count("most", 1, 1'000'000) * 1.0};
    s.fixed = std::max(1.0, time("base") + time("per-hop") * path.hops);
    return s;
}

}  // namespace

CongestionRegistry::Row swift_row() {
    return {
        {"swift",
         "A window that holds the round trip at a target",
         "Kumar et al., Swift: delay is simple and effective for congestion control in the "
         "datacenter, SIGCOMM 2020, algorithm 1",
         {{"base", "time", "20us", "target without hops and flows"},
          {"per-hop", "time", "3.053us", "target of each link of the path"},
          {"range", "time", "100us", "most that flow scaling adds"},
          {"low", "% of a packet", "10%", "window at which flow scaling adds all of range"},
          {"high", "packets", "100", "window at which flow scaling adds nothing"},
          {"increase", "packets", "1", "ai, a round trip"},
          {"beta", "%", "80%", "of the excess over the target, per decrease"},
          {"most-cut", "%", "50%", "of one decrease"},
          {"start", "packets", "15", "first window"},
          {"most", "packets", "1000", "largest window"}}},
        {{}, [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
             return std::make_unique<Swift>(settings_of(p, path), path);
         }}};
}

}  // namespace weft
