#pragma once
// Which silent lanes are dead. Time is cut into ticks of 10 ms. A connection from which nothing
// came in a tick, although something is outstanding on it, is sent a probe; any byte is a sign of
// life. A tick in which an asked connection stayed silent while another connection of the same peer
// was heard counts against it; after `silence` of such ticks (or three of its own worst round
// trips, if that is longer) it is dead.
//
// Why ticks and not clocks: a rank that was not scheduled comes back to one late tick, not to 200
// ms of apparent silence. Why the others: a peer that is stopped or has no processor is silent on
// all its lanes; then no tick counts, and after 80 ms of it all counts start again. A peer that
// stays silent on all lanes is the control plane's business.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>

#include "collectives/transport/message.hpp"

namespace weft::live::tcp {

inline constexpr auto kTick = std::chrono::milliseconds(10);

struct Pulse {
    bool heard = false;                   // bytes came since the last tick
    bool asked = false;                   // a probe is unanswered
    std::uint32_t ticks = 0;              // that count against it
    std::chrono::nanoseconds slowest{0};  // round trip, of late

    void hear() {
        heard = true;
        asked = false;
        ticks = 0;
    }
    void answered(std::chrono::nanoseconds rtt) { slowest = std::max(rtt, slowest); }
};

/// The pulses of all connections of one peer.
class Judge {
  public:
    explicit Judge(std::chrono::milliseconds silence) : silence_(silence) {}

    /// One tick has passed. After it the caller asks dead() of each, sends probes to those that
    /// are not `heard` (and sets `asked`), and clears `heard`.
    void tick(std::span<Pulse* const> pulses) {
        const bool any =
            std::any_of(pulses.begin(), pulses.end(), [](const Pulse* p) { return p->heard; });
        empty_ = any ? 0 : empty_ + 1;
        for (Pulse* p : pulses) {
            if (empty_ >= kEmptyTicks) p->ticks = 0;
            if (any && !p->heard && p->asked) ++p->ticks;
            if (p->heard) p->slowest -= p->slowest / 16;  // older round trips fade
        }
    }
    [[nodiscard]] bool dead(const Pulse& p) const {
        const std::chrono::nanoseconds patience =
            std::max<std::chrono::nanoseconds>(silence_, 3 * p.slowest);
        return p.ticks * std::chrono::nanoseconds(kTick) >= patience;
    }
    /// For how many ticks in a row nothing at all has come.
    [[nodiscard]] std::uint32_t empty_ticks() const { return empty_; }

  private:
    static constexpr std::uint32_t kEmptyTicks = 8;
    std::chrono::milliseconds silence_;
    std::uint32_t empty_ = 0;
};

}  // namespace weft::live::tcp
