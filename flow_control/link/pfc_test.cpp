#include "flow_control/link/pfc.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <queue>

#include "base/rng.hpp"
#include "flow_control/link/shared_buffer.hpp"

using namespace weft;

namespace {

/// One sender at line rate, one switch port that drains in fits and starts, pause frames between
/// them: every delay as long as the formula allows, or random shares of it. Odd seeds count a
/// packet as its head arrives, even ones as its last bit does.
class PausedLink {
  public:
    PausedLink(const HeadroomFacts& f, Bytes headroom, std::uint64_t seed, bool random)
        : f_(f),
          random_{seed, 0, "link"},
          vary_(random),
          head_(seed % 2 != 0),
          buffer_{profile(f, headroom), std::vector<PortBuffer>(2, {headroom, 0})} {
        response_ = vary_ ? share(f.response) : f.response;
        at(SimTime{}, kSend);
        at(SimTime{} + us(2), kDrain);
    }

    void run(int events) {
        for (int n = 0; n < events && !queue_.empty(); ++n) {
            const Event e = queue_.top();
            queue_.pop();
            now_ = e.at;
            handle(e);
        }
    }
    [[nodiscard]] std::int64_t dropped() const { return buffer_.counts(0).dropped_packets; }
    [[nodiscard]] std::int64_t pauses() const { return buffer_.counts(0).pauses; }
    [[nodiscard]] bool alternating() const { return alternating_; }

  private:
    enum Kind { kSend, kCounted, kDrain, kFrameLeaves, kObey };
    struct Event {
        SimTime at;
        std::uint64_t order;
        Kind kind;
        std::int64_t value;
        bool operator<(const Event& o) const {
            return at != o.at ? at > o.at : order > o.order;  // the earliest on top
        }
    };

    static BufferProfile profile(const HeadroomFacts& f, Bytes headroom) {
        BufferProfile p;
        p.total = Bytes{40'000} + headroom * 2;
        p.cell = f.cell;
        p.classes[0].lossless = true;
        p.classes[0].fixed_threshold = Bytes{20'000};
        p.classes[0].resume_offset = Bytes{3072};
        return p;
    }
    void at(SimTime when, Kind kind, std::int64_t value = 0) {
        queue_.push({when, order_++, kind, value});
    }
    SimDuration share(SimDuration most) {
        return SimDuration{
            static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.ps()) + 1))};
    }

    void handle(const Event& e) {
        if (e.kind == kSend) send();
        if (e.kind == kCounted) arrived(Bytes{e.value});
        if (e.kind == kDrain) drain();
        if (e.kind == kFrameLeaves) frame_leaves();
        if (e.kind == kObey) {
            alternating_ = alternating_ && (e.value != 0) != paused_;
            paused_ = e.value != 0;
            if (!paused_ && idle_) {
                idle_ = false;
                send();
            }
        }
    }
    void send() {
        if (paused_) {
            idle_ = true;
            return;
        }
        std::int64_t size = f_.mtu.count();
        if (vary_ && random_.below(2) == 0)
            size = f_.smallest.count() +
                   static_cast<std::int64_t>(
                       random_.below(static_cast<std::uint64_t>(size - f_.smallest.count() + 1)));
        const SimDuration on_wire = transfer_time(Bytes{size}, f_.rate);
        at(now_ + f_.cable + f_.interface + (head_ ? SimDuration{} : on_wire), kCounted, size);
        at(now_ + on_wire, kSend);
    }
    void arrived(Bytes size) {
        if (buffer_.arrive(0, 0, 1, size) == Admission::kStore) waiting_.push_back(size);
        if (buffer_.pause(0, 0)) tell();
    }
    void drain() {
        if (!waiting_.empty()) {
            buffer_.leave(0, 0, 1, waiting_.front());
            waiting_.pop_front();
            if (buffer_.resume(0, 0)) tell();
        }
        // Mostly faster than packets come, so that it resumes; then stuck for a while.
        SimDuration next = transfer_time(f_.mtu, f_.rate) / 2;
        if (random_.below(40) == 0) next = 4 * f_.cable + 2 * f_.response + us(20);
        at(now_ + next, kDrain);
    }
    /// A frame waits for the frame that is leaving, and says what holds when it leaves itself.
    void tell() {
        if (frame_waits_) return;
        frame_waits_ = true;
        SimTime start = std::max(now_, control_free_);
        if (control_free_ <= now_) {
            const SimDuration blocked = transfer_time(f_.blocking_mtu, f_.rate);
            start += vary_ ? share(blocked) : blocked;
        }
        at(start, kFrameLeaves);
    }
    void frame_leaves() {
        frame_waits_ = false;
        control_free_ = now_ + transfer_time(f_.frame, f_.rate);
        const bool state = buffer_.paused(0, 0);
        if (state == told_) return;  // changed twice while it waited
        told_ = state;
        at(control_free_ + f_.cable + f_.interface + response_, kObey, state ? 1 : 0);
    }

    HeadroomFacts f_;
    RandomStream random_;
    bool vary_, head_;
    SharedBuffer buffer_;
    SimDuration response_;
    std::priority_queue<Event> queue_;
    std::deque<Bytes> waiting_;
    SimTime now_, control_free_;
    std::uint64_t order_ = 0;
    bool paused_ = false, idle_ = false, frame_waits_ = false, told_ = false, alternating_ = true;
};

HeadroomFacts random_link(RandomStream& random) {
    constexpr std::int64_t kGbps[] = {25, 50, 100, 200, 400, 800};
    constexpr std::int64_t kMtu[] = {1042, 4160, 9216};
    constexpr std::int64_t kCell[] = {0, 80, 144, 208, 256};
    HeadroomFacts f;
    f.rate = Bandwidth{kGbps[random.below(6)] * 1'000'000'000};
    f.cable = ns(5) * static_cast<std::int64_t>(1 + random.below(2000));
    f.mtu = Bytes{kMtu[random.below(3)]};
    f.blocking_mtu = Bytes{kMtu[random.below(3)]};
    f.response = random.below(2) == 0 ? SimDuration{} : pause_response(f.rate);
    f.interface = ns(static_cast<std::int64_t>(random.below(300)));
    f.cell = Bytes{kCell[random.below(5)]};
    return f;
}

}  // namespace

TEST_CASE("headroom by the formula never overflows, half of it does", "[property]") {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        INFO("seed " << seed);
        RandomStream random{seed, 1, "links"};
        const HeadroomFacts f = random_link(random);
        const Bytes headroom = pfc_headroom(f);
        for (const bool vary : {false, true}) {
            PausedLink link{f, headroom, seed, vary};
            link.run(3000);
            CHECK(link.dropped() == 0);
            CHECK(link.pauses() > 0);
            CHECK(link.alternating());
        }
        HeadroomFacts exact = f;  // what cells waste at worst does not happen with full frames
        exact.cell = Bytes{};
        PausedLink half{exact, pfc_headroom(exact) / 2, seed, false};
        half.run(3000);
        CHECK(half.dropped() > 0);
    }
}

TEST_CASE("headroom and response follow the published figures", "[unit]") {
    CHECK(hpcc_ns3_headroom(400_Gbps, us(1)) == Bytes{150'000});
    // 905 quanta at 400 Gbit/s: 463,360 bit times.
    CHECK(pause_response(400_Gbps).ps() == 463'360 * 1000 / 400);
    CHECK(pause_response(100_Gbps).ps() == 201'728 * 10);
    // SONiC's terms: mtu + 2 cable + response + lossless mtu; ours adds the frames and one mtu.
    HeadroomFacts f;
    f.rate = 100_Gbps;
    f.cable = ns(1500);
    f.mtu = Bytes{1500};
    f.blocking_mtu = Bytes{9216};
    f.response = pause_response(f.rate);
    const std::int64_t sonic = 9216 + 2 * 18'750 + 394 * 64 + 1500;
    CHECK(pfc_headroom(f).count() == sonic + 1500 + 2 * 84 + 1);
    f.cell = Bytes{208};  // a frame of 64 bytes takes 208
    CHECK(pfc_headroom(f).count() == ((sonic + 1500 + 169) * 208 + 63) / 64);
    f.cell = Bytes{80};  // 81 bytes take 160
    CHECK(pfc_headroom(f).count() == ((sonic + 1500 + 169) * 160 + 80) / 81);
}

TEST_CASE("a pause of 65535 quanta holds for 83.9 us at 400 Gbit/s and is refreshed", "[unit]") {
    PfcProfile p;
    CHECK(p.holds(400_Gbps).ps() == 65535LL * 512 * 1000 / 400);
    PauseSource source;
    CHECK_FALSE(source.due(SimTime{} + ms(5)));
    source.paused(SimTime{}, p.refresh(400_Gbps));
    CHECK_FALSE(source.due(SimTime{} + us(41)));
    CHECK(source.due(SimTime{} + us(42)));
    source.resumed();
    CHECK_FALSE(source.due(SimTime{} + us(42)));
    p.quanta = 0;
    source.paused(SimTime{}, p.refresh(400_Gbps));
    CHECK_FALSE(source.due(SimTime{} + ms(1000)));
}

TEST_CASE("a pause ends by itself, by a resume, and its time is counted once", "[unit]") {
    const auto t = [](std::int64_t micro) { return SimTime{} + us(micro); };
    PauseTarget target;
    CHECK_FALSE(target.blocked(SimTime{}));
    target.pause(t(10), us(80));
    target.pause(t(50), us(80));  // a refresh
    CHECK(target.blocked(t(129)));
    CHECK_FALSE(target.blocked(t(130)));
    CHECK(target.total(t(60)) == us(50));
    CHECK(target.total(t(500)) == us(120));
    target.pause(t(1000), PfcProfile::kForEver);
    CHECK(target.blocked(t(900'000)));
    CHECK(target.total(t(1010)) == us(130));
    target.resume(t(1025));
    target.resume(t(1030));
    CHECK_FALSE(target.blocked(t(1025)));
    CHECK(target.total(t(2000)) == us(145));
    CHECK(target.pauses == 2);
}

TEST_CASE("the watchdog ends a storm after its detection time and restores", "[unit]") {
    const auto t = [](std::int64_t milli) { return SimTime{} + ms(milli); };
    WatchdogProfile p;
    p.on = true;
    Watchdog dog;
    PauseTarget target;
    // Pauses with departures between them are no storm.
    for (int n = 0; n < 100; ++n) {
        target.pause(t(10 * n), ms(9));
        dog.observe(t(10 * n), target, true, false);
        dog.observe(t(10 * n + 9), target, true, true);
        CHECK(dog.due(p) == SimTime::never());
    }
    // A NIC that pauses for ever: detected 200 ms after the first pause that stopped a backlog.
    for (int n = 0; n < 20; ++n) {
        target.pause(t(2000 + 10 * n), ms(20));
        dog.observe(t(2000 + 10 * n), target, n >= 2, false);
    }
    CHECK(dog.due(p) == t(2220));
    target.pause(t(2210), ms(20));
    CHECK(dog.check(t(2219), target, p) == WatchdogEvent::kNone);
    CHECK(dog.check(t(2220), target, p) == WatchdogEvent::kDetected);
    CHECK(dog.drops(p));
    CHECK_FALSE(dog.forwards(p));
    // While pauses come it stays; 200 ms after the end of the last it restores.
    target.pause(t(2300), ms(20));
    dog.observe(t(2300), target, true, false);
    CHECK(dog.due(p) == t(2520));
    CHECK(dog.check(t(2520), target, p) == WatchdogEvent::kRestored);
    CHECK_FALSE(dog.acting());
    CHECK(dog.storms() == 1);
    CHECK(dog.due(p) == SimTime::never());
}

TEST_CASE("a storm without end is never restored, a lapsed pause is no storm", "[unit]") {
    WatchdogProfile p;
    p.on = true;
    p.action = WatchdogProfile::Action::kForward;
    Watchdog dog;
    PauseTarget target;
    target.pause(SimTime{}, PfcProfile::kForEver);
    dog.observe(SimTime{}, target, true, false);
    CHECK(dog.check(dog.due(p), target, p) == WatchdogEvent::kDetected);
    CHECK(dog.forwards(p));
    CHECK(dog.due(p) == SimTime::never());
    target.resume(SimTime{} + ms(900));
    dog.observe(SimTime{} + ms(900), target, true, false);
    CHECK(dog.check(SimTime{} + ms(1100), target, p) == WatchdogEvent::kRestored);
    Watchdog calm;
    target.pause(SimTime{} + ms(2000), us(80));
    calm.observe(SimTime{} + ms(2000), target, true, false);
    CHECK(calm.check(SimTime{} + ms(2200), target, p) == WatchdogEvent::kNone);
    CHECK(calm.due(p) == SimTime::never());
    p.on = false;
    calm.observe(SimTime{}, target, true, false);
    CHECK(calm.due(p) == SimTime::never());
}
