// TIMELY: rate control by the gradient of the round-trip time. Mittal et al., TIMELY: RTT-based
// Congestion Control for the Datacenter, SIGCOMM 2015, algorithm 1 and section 4.4 (HAI).
//   gradient   d = (1 - w) d + w (rtt - rtt before); g = d / min_rtt
//   rtt < low  R += step                     rtt > high   R *= 1 - beta (1 - high / rtt)
//   g <= 0     R += n step, n = 5 from the fifth such update on, else 1
//   g > 0      R *= 1 - beta g
// Form `hpcc-ns3`, as its authors' ns-3 has it: n = hurry from the sixth increase in a row on,
// below low as well.
// Its fixed point is not unique (Zhu et al., ECN or Delay, CoNEXT 2016, section 4.2): any split of
// the link with a constant queue between low and high is one. Form `patched` is that paper's
// algorithm 2: between low and high, with weight w(g) = 0 below -1/4, 1 above 1/4, 2 g + 1/2,
//   R = R (1 - beta w (rtt - low) / low) + step (1 - w)
// whose fixed point is unique: equal rates, rtt = low (1 + N step / (beta C)).
// An update comes once a round trip, as in the HPCC authors' ns-3 (facts C2); the patched form,
// whose small beta needs more of them, has one a segment of 16 KiB as both papers have. Starts at
// line rate. Leaves out: bursts of a segment, losses. Defaults (facts C2): w 0.875, beta 0.8
// (patched 0.008), low 50 us, high 500 us, min_rtt 20 us, step 10 Mb/s per 10 Gb/s of port.
#include "flow_control/cc/bounds.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

struct Settings {
    bool patched;
    bool always_hurry;  // below low as well
    int hurry;          // steps at once
    double gain, beta;
    double low, high, least_trip;  // ps
    double step;                   // bit/s
    Bandwidth least;
    bool window;
    Bytes segment;  // acknowledged between two updates; 0: a round trip
};

class Timely final : public CongestionControl {
  public:
    Timely(const Settings& s, const PathFacts& path)
        : s_(s), path_(path), current_(as_double(path.line_rate)) {
        answer();
    }

    void on_ack(const Ack& ack) override {
        if (ack.acked_to <= update_beyond_) return;
        update_beyond_ = s_.segment > Bytes{0}
                             ? ack.acked_to + static_cast<std::uint64_t>(s_.segment.count()) - 1
                             : round_trip_end(ack);
        const double rtt = within(as_double(ack.rtt), 1, 1e18);
        if (before_ > 0) update(rtt);
        before_ = rtt;
        answer();
    }

  private:
    static constexpr int kHurryAfter = 5;  // updates without a rising round trip

    void update(double rtt) {
        change_ += s_.gain * (rtt - before_ - change_);
        const double gradient = change_ / s_.least_trip;
        if (s_.always_hurry && (rtt < s_.low || (rtt <= s_.high && gradient <= 0))) {
            current_ += s_.step * (++calm_ > kHurryAfter ? s_.hurry : 1);
        } else if (rtt < s_.low) {
            calm_ = 0;
            current_ += s_.step;
        } else if (rtt > s_.high) {
            calm_ = 0;
            current_ *= 1 - s_.beta * (1 - s_.high / rtt);
        } else if (s_.patched) {
            const double weight = within(2 * gradient + 0.5, 0, 1);
            const double error = (rtt - s_.low) / s_.low;
            current_ =
                current_ * (1 - within(s_.beta * weight * error, 0, 1)) + s_.step * (1 - weight);
        } else if (gradient <= 0) {
            current_ += s_.step * (++calm_ >= kHurryAfter ? s_.hurry : 1);
        } else {
            calm_ = 0;
            current_ *= 1 - within(s_.beta * gradient, 0, 1);
        }
    }
    void answer() {
        current_ = within(current_, as_double(s_.least), as_double(path_.line_rate));
        rate_ = rate_within(current_, s_.least, path_.line_rate);
        if (s_.window) window_ = window_at(path_, rate_);
    }

    Settings s_;
    PathFacts path_;
    double current_;
    double before_ = 0;  // round trip of the last update; 0: none yet
    double change_ = 0;  // smoothed, ps
    int calm_ = 0;
    std::uint64_t update_beyond_ = 0;  // bytes acknowledged
};

Settings settings_of(const Parameters& p, const PathFacts& path) {
    const std::size_t form = p.choice("form", {"paper", "patched", "hpcc-ns3"});
    const bool patched = form == 1;
    const auto time = [&](const char* key) {
        const SimDuration d = p.duration(key);
        if (d < ns(1) || d > ms(1000)) p.reject(key, "1ns to 1s", "50us");
        return as_double(d);
    };
    const Bandwidth step =
        p.rate_or("step", "port",
                  scaled_to(path.line_rate, Bandwidth{10'000'000}, Bandwidth{10'000'000'000}));
    const double beta = p.is("beta", "form")
                            ? (patched ? 0.008 : 0.8)
                            : static_cast<double>(p.share("beta", 1, 1'000'000'000)) / 1e9;
    const Settings s{.patched = patched,
                     .always_hurry = form == 2,
                     .hurry = p.count("hurry", 1, 1000),
                     .gain = static_cast<double>(p.share("gain", 1, 1'000'000'000)) / 1e9,
                     .beta = beta,
                     .low = time("low"),
                     .high = time("high"),
                     .least_trip = time("min-rtt"),
                     .step = as_double(std::min(step, path.line_rate)),
                     .least = std::min(p.rate("least"), path.line_rate),
                     .window = p.choice("window", {"off", "on"}) == 1,
                     .segment = p.is("segment", "form")
                                    ? Bytes{patched ? 16 * 1024 : 0}
                                    : Bytes{p.count("segment", 0, 1 << 20) * std::int64_t{1024}}};
    if (s.high < s.low) p.reject("high", "at least `low`", "500us");
    return s;
}

}  // namespace

CongestionRegistry::Row timely_row() {
    return {
        {"timely",
         "Rate control by the gradient of the round-trip time",
         "Mittal et al., TIMELY: RTT-based congestion control for the datacenter, SIGCOMM 2015, "
         "algorithm 1; patched: Zhu et al., ECN or Delay, CoNEXT 2016, algorithm 2",
         {{"form", "", "paper", "paper, patched or hpcc-ns3"},
          {"hurry", "steps", "5", "of increase at once after a while of calm"},
          {"gain", "%", "87.5%", "weight of a new difference of round trips"},
          {"beta", "%", "form", "of decrease; form: 80 %, patched 0.8 %"},
          {"low", "time", "50us", "round trips below it always speed up"},
          {"high", "time", "500us", "round trips above it always slow down"},
          {"min-rtt", "time", "20us", "what a gradient is measured in"},
          {"step", "bit/s", "port", "of increase; port: 10 Mb/s per 10 Gb/s of the port"},
          {"segment", "KiB", "form", "between two updates, 0: a round trip; form: 0, patched 16"},
          {"window", "", "off", "on or off: in flight within the path's product x rate / line"},
          {"least", "bit/s", "100Mbps", "the lowest rate"}}},
        {{},
         [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
             return std::make_unique<Timely>(settings_of(p, path), path);
         },
         {.reaction_rtts = 30, .why = "a queue must grow before its gradient is felt"}}};
}

}  // namespace weft
