#pragma once
// Receiver: what a NIC does with the packets of one connection, and what it answers.
//
// Models three rules for packets out of order:
//   kGoBackN          RoCE: dropped; one NACK a gap, then silence until the missing packet comes
//   kSelectiveRepeat  kept in a window; a NACK with what has arrived for every packet out of order
//                     (IRN, Mittal et al., SIGCOMM 2018)
//   kUnordered        placed as they come (UEC): no answer to disorder, as paths differ; a trimmed
//                     header is answered with a NACK for that packet
// New packets are acknowledged every AckProfile::every bytes, and at once when the sender asks for
// it (at the end of a message, and where its window ends: else both would wait), when all up to
// there is complete, when marked (if so set), and when a packet comes again. UEC's reference
// acknowledges every 16 KiB (facts C2), RoCE here every packet. Packets are delivered exactly once:
// `deliver` says that this one is new and is placed, `advanced` how many are now complete in order,
// for a reorder buffer. A message is complete when as many new packets have come as it has.
// Leaves out: what answers look like on the wire, several paths, credits.
// Memory: 48 bytes, and window / 8 bytes of bits for the latter two rules.
#include <algorithm>
#include <cstdint>
#include <span>

#include "base/units.hpp"
#include "flow_control/transport/window.hpp"

namespace weft {

enum class LossRule : std::uint8_t { kGoBackN, kSelectiveRepeat, kUnordered };

struct AckProfile {
    Bytes every;                 // zero: each packet
    bool marked_at_once = true;  // a packet with congestion experienced does not wait
};

struct Arrival {
    PacketNumber number = 0;
    std::uint32_t bytes = 0;
    bool marked = false;
    bool ack_request = false;  // the last of its message, or the sender's window ends here
};

enum class Answer : std::uint8_t { kNone, kAck, kNack };

struct Receipt {
    bool deliver = false;  // new: place it, count it
    Answer answer = Answer::kNone;
    std::uint32_t advanced = 0;  // packets now complete in order
};

/// What an acknowledgement says has arrived: all below `cumulative`, and of the 64 packets from
/// `from` on those whose bit is set, bit 0 first.
struct Sack {
    PacketNumber cumulative = 0;
    PacketNumber from = 0;
    std::uint64_t bits = 0;
};

/// What an acknowledgement sums up: new packets since the last one.
struct AckSums {
    std::uint32_t bytes = 0;
    std::uint32_t marked = 0;  // of those
};

class Receiver {
  public:
    /// `words`: of the window, 2^k and at least two; empty for kGoBackN.
    explicit Receiver(LossRule rule, std::span<std::uint64_t> words = {}) : rule_(rule) {
        if (rule != LossRule::kGoBackN) {
            WEFT_CHECK(words.size() >= 2, "a window of {} words", words.size());
            window_ = ArrivalWindow{words};
        }
    }

    Receipt arrive(const Arrival& a, const AckProfile& acks) {
        return rule_ == LossRule::kGoBackN ? in_order(a, acks) : in_window(a, acks);
    }
    /// The header of a packet whose payload a switch cut off. kNack: ask for that packet again.
    [[nodiscard]] Answer trimmed(PacketNumber number) {
        if (rule_ == LossRule::kGoBackN) return number < expected_ ? Answer::kAck : gap();
        return window_.has(number) ? Answer::kAck : Answer::kNack;
    }

    /// For the answer to packet `cause`: what has arrived, and in the last 64 up to `cause` which.
    [[nodiscard]] Sack sack(PacketNumber cause) const {
        if (rule_ == LossRule::kGoBackN) return {expected_, expected_, 0};
        const PacketNumber base = window_.base();
        const PacketNumber from = cause < base + 64 ? base : cause - 63;
        return {base, from, window_.from(from)};
    }
    /// For the answer too: call once, as it is sent.
    AckSums take_sums() {
        const AckSums sums = sums_;
        sums_ = {};
        return sums;
    }
    /// Packets that wait beyond a gap.
    [[nodiscard]] std::uint32_t held() const { return held_; }

  private:
    void count(const Arrival& a) {
        sums_.bytes += a.bytes;
        if (a.marked) sums_.marked += a.bytes;
    }
    [[nodiscard]] Answer when_due(const Arrival& a, const AckProfile& acks) const {
        const bool now = a.ack_request || (a.marked && acks.marked_at_once) ||
                         static_cast<std::int64_t>(sums_.bytes) >= acks.every.count();
        return now ? Answer::kAck : Answer::kNone;
    }
    Answer gap() {
        if (told_) return Answer::kNone;
        told_ = true;
        return Answer::kNack;
    }
    Receipt in_order(const Arrival& a, const AckProfile& acks) {
        if (a.number < expected_) return {false, Answer::kAck, 0};
        if (a.number > expected_) return {false, gap(), 0};
        ++expected_;
        told_ = false;
        count(a);
        return {true, when_due(a, acks), 1};
    }
    Receipt in_window(const Arrival& a, const AckProfile& acks) {
        const PacketNumber before = window_.base();
        switch (window_.insert(a.number)) {
            case ArrivalWindow::Place::kAgain:
                return {false, Answer::kAck, 0};
            case ArrivalWindow::Place::kBeyond:
                return {};
            case ArrivalWindow::Place::kNew:
                break;
        }
        const std::uint32_t advanced = window_.base() - before;
        held_ = held_ + 1 - advanced;
        count(a);
        if (a.ack_request) requested_ = std::max(requested_, a.number + 1);
        if (rule_ == LossRule::kSelectiveRepeat) {
            if (advanced == 0) return {true, Answer::kNack, 0};
            if (advanced > 1) return {true, Answer::kAck, advanced};  // a gap has closed
        }
        // The request may have come before what it asks about: it is answered again at the end.
        const bool request_met = before < requested_ && requested_ <= window_.base();
        return {true, request_met ? Answer::kAck : when_due(a, acks), advanced};
    }

    ArrivalWindow window_;
    PacketNumber expected_ = 0;
    PacketNumber requested_ = 0;  // all before this have been asked for
    std::uint32_t held_ = 0;
    AckSums sums_;
    LossRule rule_;
    bool told_ = false;  // a NACK for this gap is out
};

/// Congestion notification packets of one queue pair: at most one an interval, 50 us by default
/// (DCQCN, facts C1). 8 bytes.
struct CnpLimiter {
    SimTime next;
    /// A marked packet has come: whether to send one now.
    bool allow(SimTime now, SimDuration interval = us(50)) {
        if (now < next) return false;
        next = now + interval;
        return true;
    }
};

}  // namespace weft
