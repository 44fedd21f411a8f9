// What every congestion control must do, on every row of the registry, whatever its name.
#include "flow_control/cc/congestion_control.hpp"

#include <catch2/catch.hpp>

#include "tests/support/one_bottleneck.hpp"

using namespace weft;

namespace {

const CongestionRegistry& registry() {
    return congestion_controls();
}

/// Answers within the bounds that congestion_control.hpp promises.
bool within_bounds(const CongestionControl& cc, const PathFacts& path) {
    return cc.rate() > Bandwidth{0} && cc.rate() <= path.line_rate && cc.window() >= path.packet;
}

PathFacts random_path(RandomStream& r) {
    constexpr std::int64_t kRates[] = {1, 10, 25, 100, 400, 800, 1600};
    return {.line_rate = Bandwidth{kRates[r.below(7)] * 1'000'000'000},
            .base_rtt = ps(static_cast<std::int64_t>(1 + r.below(100'000'000))),
            .packet = Bytes{static_cast<std::int64_t>(64 + r.below(9'000))},
            .hops = static_cast<std::uint32_t>(1 + r.below(8))};
}

SimDuration random_step(RandomStream& r) {
    switch (r.below(8)) {
        case 0:
            return ps(0);
        case 1:
            return ps(static_cast<std::int64_t>(r.below(1'000'000'000'000)));  // a jump
        default:
            return ps(static_cast<std::int64_t>(r.below(2'000'000)));
    }
}

/// One sender fed with what no network would send.
class Storm {
  public:
    Storm(const std::string& text, std::uint64_t seed)
        : random_(seed, 0, "storm"), path_(random_path(random_)) {
        cc_ = choose_congestion(text).make(path_);
        REQUIRE(within_bounds(*cc_, path_));
    }
    /// A hash of all answers, for comparison.
    std::uint64_t run(int events) {
        std::uint64_t hash = 0;
        for (int i = 0; i < events; ++i) {
            now_ += random_step(random_);
            event();
            if (!within_bounds(*cc_, path_))
                FAIL("rate " << cc_->rate().bits_per_second() << " window " << cc_->window().count()
                             << " after " << i << " events");
            hash = mix64(hash, static_cast<std::uint64_t>(cc_->rate().bits_per_second()));
            hash = mix64(hash, static_cast<std::uint64_t>(cc_->window().count()));
            hash = mix64(hash, static_cast<std::uint64_t>(cc_->timer().ps()));
        }
        return hash;
    }

  private:
    void event() {
        switch (random_.below(10)) {
            case 0:
                return cc_->on_cnp(now_);
            case 1:
                return cc_->on_nack(now_, Bytes{static_cast<std::int64_t>(random_.below(100'000))});
            case 2:
                return cc_->on_timeout(now_);
            case 3:
                return send();
            case 4:
                return timer();
            default:
                return ack();
        }
    }
    void send() {
        cc_->sent(now_, path_.packet);
        sent_ += static_cast<std::uint64_t>(path_.packet.count());
    }
    void timer() {
        if (cc_->timer() == SimTime::never()) return;
        now_ = std::max(now_, cc_->timer());
        cc_->on_timer(now_);
        // Moved on; never() is later than all.
        REQUIRE(cc_->timer() > now_);
    }
    void ack() {
        const Bytes acked{static_cast<std::int64_t>(random_.below(20'000))};
        const Bytes marked{static_cast<std::int64_t>(
            random_.below(static_cast<std::uint64_t>(acked.count()) + 1))};
        acked_ += static_cast<std::uint64_t>(acked.count());
        sent_ = std::max(sent_, acked_ + random_.below(3) * 10'000);
        hops_.clear();
        for (std::uint64_t n = random_.below(20); n > 0; --n)
            hops_.push_back(
                {.at = SimTime{static_cast<std::int64_t>(
                     random_.below(static_cast<std::uint64_t>(now_.ps()) + 1))},
                 .rate = Bandwidth{static_cast<std::int64_t>(random_.below(1'600'000'000'000))},
                 .queue = Bytes{static_cast<std::int64_t>(random_.below(100'000'000))},
                 .sent = Bytes{static_cast<std::int64_t>(random_.below(std::uint64_t{1} << 50))}});
        const auto rtt = static_cast<std::int64_t>(
            random_.below(random_.below(4) == 0 ? 1'000'000'000'000 : 100'000'000));
        cc_->on_ack({.now = now_,
                     .rtt = ps(rtt),
                     .acked = acked,
                     .marked = random_.below(2) == 0 ? marked : Bytes{0},
                     .in_flight = Bytes{static_cast<std::int64_t>(sent_ - acked_)},
                     .acked_to = acked_,
                     .sent_to = sent_,
                     .hops = hops_});
    }

    RandomStream random_;
    PathFacts path_;
    std::unique_ptr<CongestionControl> cc_;
    SimTime now_;
    std::uint64_t sent_ = 0, acked_ = 0;
    std::vector<HopTelemetry> hops_;
};

/// A bottleneck as the row asks for it.
OneBottleneck bottleneck(const CongestionRegistry::Row& row, BottleneckOptions o) {
    const PathFacts path = OneBottleneck(o).path();
    if (row.make.needs.marking != nullptr) o.marking = row.make.needs.marking(o.capacity, path);
    if (row.make.needs.trimming) o.trim_above = bytes_in(path.base_rtt, o.capacity);
    return OneBottleneck(o);
}

std::unique_ptr<CongestionControl> one_of(const CongestionRegistry::Row& row,
                                          const OneBottleneck& net) {
    return row.make.make(Parameters(row.info, {}, row.info.name), net.path());
}

double goodput(const OneBottleneck& net, std::size_t flow, Bytes before, SimDuration span) {
    return static_cast<double>((net.delivered(flow) - before).count()) * 8e12 /
           static_cast<double>(span.ps());
}

/// Every row as it is, and the forms that some have besides.
std::vector<std::string> all_forms() {
    std::vector<std::string> all = {
        "dcqcn:set=paper",    "dcqcn:set=vendor",    "dcqcn:set=simai",  "dcqcn:feedback=cnp",
        "dctcp:form=rate",    "dctcp:form=both",     "timely:window=on", "nscc:network-rtt=20us",
        "nscc:network-rtt=0", "timely:form=patched", "nscc:target=100%"};
    for (const auto& row : registry().rows()) all.push_back(row.info.name);
    return all;
}

}  // namespace

TEST_CASE("every congestion control stays within its bounds in 1000 storms", "[property]") {
    for (const std::string& text : all_forms()) {
        INFO(text);
        for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
            INFO("seed " << seed);
            Storm(text, seed).run(100);
        }
    }
}

TEST_CASE("every congestion control gives the same answers to the same events", "[property]") {
    for (const std::string& text : all_forms()) {
        INFO(text);
        for (std::uint64_t seed = 1; seed <= 20; ++seed)
            CHECK(Storm(text, seed).run(500) == Storm(text, seed).run(500));
    }
}

TEST_CASE("a flow alone uses nine tenths of its line", "[property]") {
    for (const auto& row : registry().rows()) {
        OneBottleneck net = bottleneck(row, {});
        const auto flow = net.add(one_of(row, net), SimTime{});
        net.run_until(SimTime{} + ms(4));
        const Bytes before = net.delivered(flow);
        net.run_until(SimTime{} + ms(6));
        INFO(row.info.name);
        CHECK(goodput(net, flow, before, ms(2)) >= 0.9 * 100e9);
    }
}

TEST_CASE("two flows share a bottleneck as fairly as the row promises", "[property]") {
    for (const auto& row : registry().rows()) {
        OneBottleneck net = bottleneck(row, {});
        const auto a = net.add(one_of(row, net), SimTime{});
        const auto b = net.add(one_of(row, net), SimTime{} + ms(1));
        net.run_until(SimTime{} + ms(10));
        const Bytes a_before = net.delivered(a), b_before = net.delivered(b);
        net.run_until(SimTime{} + ms(20));
        const double first = goodput(net, a, a_before, ms(10));
        const double second = goodput(net, b, b_before, ms(10));
        INFO(row.info.name << ": " << first / 1e9 << " and " << second / 1e9 << " Gb/s");
        const CongestionPromises& promised = row.make.promises;
        CHECK(jain({first, second}) >= promised.fairness_percent / 100.0);
        CHECK(first + second >= 0.8 * 100e9);
        if (promised.fairness_percent < CongestionPromises{}.fairness_percent)
            CHECK(promised.why[0] != '\0');
    }
}

TEST_CASE("senders yield to a halved bottleneck in the time the row promises", "[property]") {
    for (const auto& row : registry().rows()) {
        const CongestionPromises& promised = row.make.promises;
        OneBottleneck net = bottleneck(row, {});
        const auto a = net.add(one_of(row, net), SimTime{});
        const auto b = net.add(one_of(row, net), SimTime{} + ms(1));
        SimTime now = SimTime{} + ms(6);
        net.run_until(now);
        net.set_capacity(Bandwidth{50'000'000'000});
        const SimDuration trip = net.path().base_rtt;
        int trips = 0;
        for (int i = 1; i <= 1000 && trips == 0; ++i) {
            const Bytes before = net.sent(a) + net.sent(b);
            now += trip;
            net.run_until(now);
            const Bytes sent = net.sent(a) + net.sent(b) - before;
            if (static_cast<double>(sent.count()) * 8e12 / static_cast<double>(trip.ps()) < 55e9)
                trips = i;
        }
        INFO(row.info.name << " took " << trips << " round trips");
        if (promised.reaction_rtts == 0) {
            CHECK(trips == 0);
            CHECK(promised.why[0] != '\0');
        } else {
            CHECK(trips > 0);
            CHECK(trips <= promised.reaction_rtts);
            if (promised.reaction_rtts > CongestionPromises{}.reaction_rtts)
                CHECK(promised.why[0] != '\0');
        }
    }
}

TEST_CASE("choosing a congestion control says what is wrong", "[unit]") {
    CHECK_THROWS_AS(choose_congestion("dcqnc"), ConfigError);
    CHECK_THROWS_AS(choose_congestion("dcqcn:nothing=1"), ConfigError);
    const PathFacts path{
        .line_rate = Bandwidth{400'000'000'000}, .base_rtt = us(8), .packet = Bytes{4160}};
    for (const char* bad :
         {"dcqcn:set=best", "dcqcn:gain=200%", "dcqcn:alpha-interval=0", "dcqcn:recovery=0",
          "dcqcn:feedback=none", "hpcc:utilisation=0%", "hpcc:stages=-1", "swift:base=2s",
          "swift:high=1", "swift:low=0%", "dctcp:form=tcp", "dctcp:gain=0%", "timely:low=0",
          "timely:low=1ms", "timely:beta=101%", "nscc:target=0%", "nscc:network-rtt=2s",
          "fixed-rate:rate=0Gbps"}) {
        INFO(bad);
        CHECK_THROWS_AS(choose_congestion(bad).make(path), ConfigError);
    }
}

TEST_CASE("every row of congestion controls says where it is from", "[unit]") {
    for (const auto& row : registry().rows()) {
        INFO(row.info.name);
        CHECK_FALSE(row.info.description.empty());
        CHECK_FALSE(row.info.source.empty());
        for (const Parameter& p : row.info.parameters) CHECK_FALSE(p.description.empty());
    }
}
