#pragma once
// Priority flow control (IEEE 802.1Qbb): who is paused and until when, the headroom that a pause
// needs, and the watchdog that ends a storm.
//
// Models: a pause frame stops one class of one egress for `quanta` x 512 bit times, 65535 quanta at
// most (83.9 us at 400 Gbit/s); the receiver of packets that stays congested sends it again before
// that; a frame of 0 quanta resumes. Other simulators pause until told otherwise (htsim; ns-3 in
// effect): quanta = 0 here. SharedBuffer says when an ingress is congested.
// Watchdog: SONiC's. A queue that holds packets, is paused and sends nothing for `detection` is
// stuck; then its packets are dropped, or forwarded in spite of the pause, until no pause has been
// in force for `restoration`. Detection is exact to the picosecond; a real one polls every 200 ms.
// Leaves out: link-wide pause (802.3x) except as all classes at once; frames that are lost.
#include <algorithm>
#include <cstdint>

#include "base/units.hpp"

namespace weft {

struct PfcProfile {
    bool on = false;
    std::uint32_t quanta = 65535;  // 0: a pause holds until it is ended
    Bytes frame{64};               // without preamble and gap

    /// How long one frame pauses a port of `rate`; kForEver when quanta is 0.
    [[nodiscard]] SimDuration holds(Bandwidth rate) const;
    /// How long after a pause the next is sent when still congested: half of what it holds, or
    /// kForEver.
    [[nodiscard]] SimDuration refresh(Bandwidth rate) const;
    static constexpr SimDuration kForEver{SimTime::never().ps()};
};

/// One (ingress port, class) that has paused its sender: when to say so again. 8 bytes.
struct PauseSource {
    SimTime refresh_at = SimTime::never();

    /// Call when a pause frame is sent, the first or a further one. `every`: PfcProfile::refresh.
    void paused(SimTime now, SimDuration every) {
        refresh_at = every == PfcProfile::kForEver ? SimTime::never() : now + every;
    }
    void resumed() { refresh_at = SimTime::never(); }
    /// True: send a further pause frame, and call paused() again.
    [[nodiscard]] bool due(SimTime now) const { return refresh_at <= now; }
};

/// One (egress port, class) and the pauses that reach it. 32 bytes.
struct PauseTarget {
    SimTime until;        // may send from here on
    SimTime since;        // of the pause in force, or of the last
    SimDuration settled;  // all pauses before `since`
    std::int64_t pauses = 0;

    [[nodiscard]] bool blocked(SimTime now) const { return now < until; }
    /// A frame has come that holds for `span` (kForEver: until resume()).
    void pause(SimTime now, SimDuration span) {
        if (!blocked(now)) {
            settled += until - since;
            since = now;
            ++pauses;
        }
        until = span == PfcProfile::kForEver ? SimTime::never() : now + span;
    }
    /// A frame of no quanta has come.
    void resume(SimTime now) { until = std::min(until, now); }
    /// Time spent paused so far.
    [[nodiscard]] SimDuration total(SimTime now) const {
        return settled + (std::min(now, until) - since);
    }
};

/// What a link is, for the headroom behind it.
struct HeadroomFacts {
    Bandwidth rate;
    SimDuration cable;      // one way: 5 ns a metre of fibre
    Bytes mtu;              // the largest frame of the lossless class
    Bytes blocking_mtu;     // the largest frame that may be leaving when the pause is to be sent
    SimDuration response;   // of the paused side: pause_response(), or what is modelled
    SimDuration interface;  // of both interfaces together, one way
    Bytes frame{84};        // a pause frame with preamble and gap
    Bytes cell;             // of the buffer; zero: exact bytes
    Bytes smallest{64};     // the smallest frame of the class, which wastes most of a cell
};

/// Bytes that still arrive after the packet that crosses the threshold, that packet included:
///     2 mtu + rate x (blocking mtu + 2 frames + 2 cable + 2 interface + response),
/// times what cells waste. IEEE 802.1Qbb annex O; the same terms as SONiC's headroom script (port
/// mtu + 2 cable + interface + response, + mtu) and Cisco's. Two frames: a pause may wait for the
/// resume before it. One mtu is the frame begun as the pause takes effect; the other the frame that
/// crossed the threshold, where switches count a packet when its last bit is there: one that counts
/// its head needs one mtu less.
[[nodiscard]] Bytes pfc_headroom(const HeadroomFacts& f);
/// HPCC-ns3's rule: 3 x rate x one-way delay (facts C3).
[[nodiscard]] Bytes hpcc_ns3_headroom(Bandwidth rate, SimDuration delay);
/// The longest a port may take to obey (IEEE 802.3, 31B.3.7, in quanta by rate: 67 at 10G, 394 at
/// 100G, 453 at 200G, 905 from 400G on).
[[nodiscard]] SimDuration pause_response(Bandwidth rate);

struct WatchdogProfile {
    bool on = false;
    SimDuration detection = ms(200);  // SONiC's defaults (sonic-utilities, pfcwd start_default)
    SimDuration restoration = ms(200);
    enum class Action : std::uint8_t { kDrop, kForward } action = Action::kDrop;
};

enum class WatchdogEvent : std::uint8_t { kNone, kDetected, kRestored };

/// The watchdog of one (egress port, class). 16 bytes. Tell it what happens; ask it at due().
class Watchdog {
  public:
    /// After each of: a pause frame, a resume, a departure (`progress`), a first packet queued, the
    /// queue emptied. `target` as it is after the event.
    void observe(SimTime now, const PauseTarget& target, bool backlog, bool progress) {
        if (acting_) {
            mark_ = target.until;
            return;
        }
        const bool stuck = backlog && target.blocked(now);
        if (!stuck || progress) mark_ = SimTime::never();
        if (stuck && mark_ == SimTime::never()) mark_ = now;
    }
    /// When to call check(); never() when nothing can happen.
    [[nodiscard]] SimTime due(const WatchdogProfile& p) const {
        if (!p.on || mark_ == SimTime::never()) return SimTime::never();
        return mark_ + (acting_ ? p.restoration : p.detection);
    }
    /// kDetected: from now on acting(). kRestored: pauses count again.
    WatchdogEvent check(SimTime now, const PauseTarget& target, const WatchdogProfile& p) {
        if (now < due(p)) return WatchdogEvent::kNone;
        if (acting_) {
            acting_ = false;
            mark_ = SimTime::never();
            return WatchdogEvent::kRestored;
        }
        if (!target.blocked(now)) {  // the pause lapsed: something else keeps the queue waiting
            mark_ = SimTime::never();
            return WatchdogEvent::kNone;
        }
        acting_ = true;
        mark_ = target.until;
        ++storms_;
        return WatchdogEvent::kDetected;
    }
    [[nodiscard]] bool acting() const { return acting_; }
    [[nodiscard]] std::uint32_t storms() const { return storms_; }
    /// Packets of this queue are dropped, those that wait and those that come.
    [[nodiscard]] bool drops(const WatchdogProfile& p) const {
        return acting_ && p.action == WatchdogProfile::Action::kDrop;
    }
    /// Packets of this queue leave in spite of the pause.
    [[nodiscard]] bool forwards(const WatchdogProfile& p) const {
        return acting_ && p.action == WatchdogProfile::Action::kForward;
    }

  private:
    SimTime mark_ = SimTime::never();  // stuck since; while acting, the end of the last pause
    std::uint32_t storms_ = 0;
    bool acting_ = false;
};

}  // namespace weft
