// DCQCN: rate control by congestion notification packets. Zhu et al., Congestion Control for
// Large-Scale RDMA Deployments, SIGCOMM 2015, section 3 and figure 7.
//   on a cut           Rt = Rc, Rc = Rc (1 - alpha / 2)                     equation 1
//   congested          alpha = (1 - g) alpha + g; each K without: alpha = (1 - g) alpha   1, 2
//   each T, each B     fast recovery below F: Rc = (Rt + Rc) / 2; else Rt += R_AI, and once both
//                      counts are beyond F Rt += R_HAI                        equations 3, 4
// The sets beside the paper's (facts C1) see marks in every ACK and act on them at most once an
// interval, have no byte counter, keep Rt until a recovery has begun, and count alpha once a slot
// of K whether marked or not: what the HPCC and SimAI authors' ns-3 runs. alpha changes lazily: its
// decay is worked out when the next mark comes, so a timer of 1 us costs no events.
// Leaves out: reaction to losses (PFC below it), the receiver's interval (NIC).
// Defaults: set hpcc-ns3, the paper's timers with increases that follow the port's rate, because
// the paper's 40 Mb/s were chosen for 40 Gb/s.
#include "flow_control/cc/bounds.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

struct Settings {
    const char* name;
    SimDuration alpha_interval;  // K
    SimDuration cut_interval;    // least between two cuts
    SimDuration increase_every;  // T
    Bytes increase_bytes;        // B; kNoWindow: no byte counter
    int recovery;                // F
    Bandwidth step;              // R_AI
    Bandwidth big_step;          // R_HAI
    Bandwidth steps_of;          // port rate that the steps are for; 0: any
    Bandwidth least;             // rate
    bool marks_in_acks;
    bool window;
    std::int64_t gain_ppb = 3'906'250;  // g = 1/256
};

constexpr Bandwidth mbps(std::int64_t n) {
    return Bandwidth{n * 1'000'000};
}
constexpr Bandwidth kAnyPort{0};
constexpr Settings kSets[] = {
    {"paper", us(55), us(0), us(55), Bytes{10'000'000}, 5, mbps(40), mbps(400), kAnyPort, mbps(10),
     false, false},
    {"hpcc-ns3", us(50), us(50), us(55), CongestionControl::kNoWindow, 1, mbps(5), mbps(50),
     mbps(25'000), mbps(1000), true, false},
    {"vendor", us(1), us(4), us(300), CongestionControl::kNoWindow, 1, mbps(5), mbps(50),
     mbps(25'000), mbps(1000), true, false},
    {"simai", us(1), us(4), us(900), CongestionControl::kNoWindow, 1, mbps(50), mbps(100), kAnyPort,
     mbps(100), true, true},
};

Settings settings_of(const Parameters& p, const PathFacts& path) {
    std::vector<std::string> names;
    for (const Settings& s : kSets) names.emplace_back(s.name);
    Settings s = kSets[p.choice("set", names)];
    if (s.steps_of > kAnyPort) {
        s.step = scaled_to(path.line_rate, s.step, s.steps_of);
        s.big_step = scaled_to(path.line_rate, s.big_step, s.steps_of);
    }
    const auto ours = [&](const char* key) { return !p.is(key, "set"); };
    const auto positive = [&](const char* key, SimDuration& d) {
        if (!ours(key)) return;
        d = p.duration(key);
        if (d < ns(1) || d > ms(1000)) p.reject(key, "1ns to 1s", "55us");
    };
    positive("alpha-interval", s.alpha_interval);
    positive("increase-every", s.increase_every);
    if (ours("cut-interval")) {
        s.cut_interval = p.duration("cut-interval");
        if (s.cut_interval > ms(1000)) p.reject("cut-interval", "0 to 1s", "4us");
    }
    if (ours("recovery")) s.recovery = p.count("recovery", 1, 1000);
    if (ours("step")) s.step = p.rate("step");
    if (ours("big-step")) s.big_step = p.rate("big-step");
    if (ours("least")) s.least = p.rate("least");
    if (ours("feedback")) s.marks_in_acks = p.choice("feedback", {"cnp", "ack"}) == 1;
    if (ours("window")) s.window = p.choice("window", {"off", "on"}) == 1;
    s.gain_ppb = p.share("gain", 1, 1'000'000'000);
    s.least = std::min(s.least, path.line_rate);
    return s;
}

class Dcqcn final : public CongestionControl {
  public:
    Dcqcn(const Settings& s, const PathFacts& path)
        : s_(s),
          path_(path),
          gain_(static_cast<double>(s.gain_ppb) / 1e9),
          current_(as_double(path.line_rate)),
          target_(current_) {
        answer();
    }

    void on_ack(const Ack& ack) override {
        if (s_.marks_in_acks && ack.marked > Bytes{0}) congested(ack.now);
    }
    void on_cnp(SimTime now) override {
        if (!s_.marks_in_acks) congested(now);
    }
    void on_timer(SimTime now) override {
        if (cut_at_ <= now) return cut(now);
        ++times_;
        increase_at_ = now + s_.increase_every;
        increase();
    }

  protected:
    void on_bytes(SimTime) override {
        sent_since_ = Bytes{0};
        ++stages_;
        increase();
    }

  private:
    void congested(SimTime now) {
        const SimTime allowed = cut_before_ ? last_cut_ + s_.cut_interval : now;
        if (!s_.marks_in_acks) {
            decay(now);
        } else {
            mark_slot(now);
        }
        if (now >= allowed) return cut(now);
        cut_at_ = allowed;
        set_timer();
    }

    /// The paper's law: alpha has decayed once each K since the last notification.
    void decay(SimTime now) {
        if (cut_before_ && now > alpha_at_)
            alpha_ *= power(1 - gain_, (now - alpha_at_).ps() / s_.alpha_interval.ps());
        alpha_at_ = std::max(alpha_at_, now);
    }

    /// The ns-3 law: each slot of K counts once, up when it saw a mark, else down. Slots start with
    /// the first mark; the slot that runs is counted at its end.
    void mark_slot(SimTime now) {
        if (!cut_before_) alpha_at_ = now;
        const std::int64_t over =
            now > alpha_at_ ? (now - alpha_at_).ps() / s_.alpha_interval.ps() : 0;
        if (over > 0) {
            if (slot_marked_) alpha_ += gain_ * (1 - alpha_);
            alpha_ *= power(1 - gain_, over - (slot_marked_ ? 1 : 0));
            alpha_at_ += s_.alpha_interval * over;
        }
        slot_marked_ = true;
    }

    void cut(SimTime now) {
        if (!s_.marks_in_acks || times_ > 0) target_ = current_;
        current_ =
            within(current_ * (1 - alpha_ / 2), as_double(s_.least), as_double(path_.line_rate));
        if (!s_.marks_in_acks) alpha_ += gain_ * (1 - alpha_);
        cut_before_ = true;
        last_cut_ = std::max(last_cut_, now);
        cut_at_ = SimTime::never();
        times_ = stages_ = 0;
        sent_since_ = Bytes{0};
        byte_stage_ = s_.increase_bytes;
        increase_at_ = now + s_.increase_every;
        answer();
    }

    void increase() {
        const bool counts_bytes = s_.increase_bytes < kNoWindow;
        const std::int64_t least = counts_bytes ? std::min(times_, stages_) : times_;
        const std::int64_t most = std::max(times_, stages_);
        if (least > s_.recovery) {
            target_ += as_double(s_.big_step);
        } else if (most >= s_.recovery) {
            target_ += as_double(s_.step);
        }
        target_ = std::min(target_, as_double(path_.line_rate));
        current_ = within((target_ + current_) / 2, as_double(s_.least), target_);
        answer();
    }

    void answer() {
        rate_ = rate_within(current_, s_.least, path_.line_rate);
        // Half a bit per second from the top is the top: nothing is left to wait for.
        if (as_double(path_.line_rate) - current_ < 0.5) {
            current_ = as_double(path_.line_rate);
            rate_ = path_.line_rate;
            increase_at_ = SimTime::never();
            byte_stage_ = kNoWindow;
        }
        if (s_.window) window_ = window_at(path_, rate_);
        set_timer();
    }
    void set_timer() { timer_ = std::min(cut_at_, increase_at_); }

    Settings s_;
    PathFacts path_;
    double gain_;
    double alpha_ = 1;
    double current_;                       // Rc
    double target_;                        // Rt
    std::int64_t times_ = 0, stages_ = 0;  // of T and of B since the last cut
    bool cut_before_ = false;
    bool slot_marked_ = false;
    SimTime last_cut_, alpha_at_;
    SimTime cut_at_ = SimTime::never();
    SimTime increase_at_ = SimTime::never();
};

/// HPCC's ns-3 set-up (facts C1): thresholds grow with the port's rate.
EcnProfile marking(Bandwidth rate, const PathFacts&) {
    constexpr Bandwidth kPort{25'000'000'000};
    return {.on = true,
            .low = scaled_to(rate, Bytes{100'000}, kPort),
            .high = scaled_to(rate, Bytes{400'000}, kPort),
            .most_ppb = 200'000'000};
}

}  // namespace

CongestionRegistry::Row dcqcn_row() {
    return {
        {"dcqcn",
         "Rate control by notifications of marked packets",
         "Zhu et al., Congestion control for large-scale RDMA deployments, SIGCOMM 2015; sets: "
         "Li et al. (HPCC), SIGCOMM 2019, and SimAI, their ns-3 configurations",
         {{"set", "", "hpcc-ns3", "paper, hpcc-ns3, vendor or simai: what the rest default to"},
          {"alpha-interval", "time", "set", "K"},
          {"cut-interval", "time", "set", "least between two cuts"},
          {"increase-every", "time", "set", "T"},
          {"recovery", "steps", "set", "F, of fast recovery"},
          {"step", "bit/s", "set", "R_AI"},
          {"big-step", "bit/s", "set", "R_HAI"},
          {"least", "bit/s", "set", "the lowest rate"},
          {"gain", "%", "0.390625%", "g"},
          {"feedback", "", "set", "cnp or ack: what tells of marks"},
          {"window", "", "set", "on or off: in flight within the path's product x rate / line"}}},
        {{.cnp = true, .marking = marking},
         [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
             return std::make_unique<Dcqcn>(settings_of(p, path), path);
         },
         {.reaction_rtts = 30, .why = "it cuts once in 50 us, from line rate"}}};
}

}  // namespace weft
