#pragma once
// Sender: which packet of one connection goes next, what is in flight, what is lost.
//
// Models: packets 0, 1, 2, ... of the messages posted, in a bounded window.
//   kGoBackN: a NACK or a timeout sends everything again from the packet named (RoCE).
//   kSelectiveRepeat, kUnordered: only what is lost is sent again, lowest first, before new
//   packets.
//     Lost: named by a NACK (trimming), or overtaken by `reorder` packets that have arrived
//     (infer_losses; 0 for IRN, 1.5 windows for UEC's SLEEK, facts C2), once a packet; after that
//     and for kUnordered without trimming only a timeout helps, which takes all that is out.
// In flight = sent, neither acknowledged nor taken for lost; in bytes, by the caller's size_of(s).
// A packet may be acknowledged after it was taken for lost: it is then not sent again.
// Leaves out: when (congestion control, timers below), on which path, round-trip times.
// Memory: 104 bytes, and 3 x window / 8 bytes of bits for the latter two rules.
// Cost: a few instructions a packet; every packet is passed once for each of these, not once an
// acknowledgement.
#include <algorithm>
#include <cstdint>
#include <span>

#include "base/units.hpp"
#include "flow_control/transport/receiver.hpp"
#include "flow_control/transport/window.hpp"

namespace weft {

class Sender {
  public:
    /// kGoBackN: at most `window` packets out.
    explicit Sender(std::uint32_t window) : rule_(LossRule::kGoBackN), window_(window) {}
    /// The other rules: `words` are 3 x 2^k; the window is that of a Receiver with 2^k words.
    Sender(LossRule rule, std::span<std::uint64_t> words)
        : acked_(words.subspan(0, words.size() / 3)),
          lost_(words.subspan(words.size() / 3, words.size() / 3)),
          again_(words.subspan(words.size() / 3 * 2, words.size() / 3)),
          rule_(rule),
          window_(acked_.capacity()) {
        WEFT_CHECK(rule != LossRule::kGoBackN && words.size() % 3 == 0, "{} words", words.size());
    }

    /// A message of so many packets follows those posted.
    void post(std::uint32_t packets) { end_ += packets; }

    [[nodiscard]] bool can_send() const {
        return lost_count_ > 0 || (next_ < end_ && next_ - una_ < window_);
    }
    /// The packet to send, where can_send().
    [[nodiscard]] PacketNumber next() const { return lost_count_ > 0 ? lowest_lost() : next_; }
    /// next() leaves, with so many bytes. Whether it had been sent before.
    bool sent(Bytes size) {
        in_flight_ += size;
        if (lost_count_ > 0) {
            const PacketNumber s = lowest_lost();
            lost_.clear(s);
            again_.set(s);
            --lost_count_;
            hint_ = s + 1;
            ++repeats_;
            return true;
        }
        const bool repeat = next_ < fresh_;
        repeats_ += repeat ? 1 : 0;
        fresh_ = std::max(fresh_, ++next_);
        return repeat;
    }

    struct Acked {
        std::uint32_t packets = 0;
        Bytes bytes;
    };
    /// What an answer of the receiver says has arrived. A NACK is this, and then go_back(), or
    /// on_lost() for a trimmed packet, or infer_losses().
    template <class SizeOf>
    Acked on_ack(const Sack& sack, SizeOf&& size_of) {
        Acked news;
        const PacketNumber cumulative = std::min(sack.cumulative, fresh_);
        while (una_ < cumulative) pass(news, size_of);
        if (rule_ == LossRule::kGoBackN) return news;
        for (std::uint64_t bits = sack.bits; bits != 0; bits &= bits - 1) {
            const PacketNumber s = sack.from + static_cast<PacketNumber>(std::countr_zero(bits));
            if (s < una_ || s >= next_ || acked_.has(s)) continue;
            take(s, news, size_of);
            acked_.set(s);
            highest_ = std::max(highest_, s + 1);
        }
        while (una_ < next_ && acked_.has(una_)) pass(news, size_of);
        return news;
    }

    /// kGoBackN: all from `expected` on go again; what was below it has arrived. The bytes lost.
    template <class SizeOf>
    Bytes go_back(PacketNumber expected, SizeOf&& size_of) {
        Bytes lost;
        for (PacketNumber s = std::max(expected, una_); s < next_; ++s) lost += size_of(s);
        next_ = std::min(next_, std::max(expected, una_));
        in_flight_ -= lost;
        return lost;
    }

    /// The other rules: packet `s` did not arrive. False: it is known to be lost or arrived.
    bool on_lost(PacketNumber s, Bytes size) {
        if (s < una_ || s >= next_ || acked_.has(s) || lost_.has(s)) return false;
        lost_.set(s);
        hint_ = lost_count_ == 0 ? s : std::min(hint_, s);
        ++lost_count_;
        in_flight_ -= size;
        return true;
    }
    /// Takes for lost what `reorder` or more later packets have overtaken, each packet once. The
    /// bytes lost. Call after on_ack().
    template <class SizeOf>
    Bytes infer_losses(std::uint32_t reorder, SizeOf&& size_of) {
        Bytes lost;
        if (highest_ <= reorder) return lost;
        for (PacketNumber s = std::max(una_, judged_); s + reorder < highest_; ++s) {
            judged_ = s + 1;
            if (again_.has(s)) continue;
            const Bytes size = size_of(s);
            if (on_lost(s, size)) lost += size;
        }
        return lost;
    }

    /// Nothing has come back for the retransmission timeout: all that is out is lost. Its bytes.
    template <class SizeOf>
    Bytes on_timeout(SizeOf&& size_of) {
        if (rule_ == LossRule::kGoBackN) return go_back(una_, size_of);
        Bytes lost;
        for (PacketNumber s = una_; s < next_; ++s) {
            const Bytes size = size_of(s);
            if (on_lost(s, size)) lost += size;
        }
        judged_ = next_;
        return lost;
    }

    [[nodiscard]] Bytes in_flight() const { return in_flight_; }
    /// All below this are acknowledged.
    [[nodiscard]] PacketNumber acknowledged() const { return una_; }
    [[nodiscard]] PacketNumber posted() const { return end_; }
    [[nodiscard]] bool done() const { return una_ == end_; }
    /// Packets that left more than once, counted each time.
    [[nodiscard]] std::int64_t repeats() const { return repeats_; }

  private:
    /// s has arrived: it is no longer in flight, or no longer to be sent again.
    template <class SizeOf>
    void take(PacketNumber s, Acked& news, SizeOf&& size_of) {
        const Bytes size = size_of(s);
        ++news.packets;
        news.bytes += size;
        if (rule_ != LossRule::kGoBackN && lost_.has(s)) {
            lost_.clear(s);
            --lost_count_;
        } else if (s < next_) {
            in_flight_ -= size;
        }
    }
    /// una_ has arrived and leaves the window.
    template <class SizeOf>
    void pass(Acked& news, SizeOf&& size_of) {
        if (rule_ == LossRule::kGoBackN) {
            take(una_, news, size_of);
        } else {
            if (!acked_.has(una_)) take(una_, news, size_of);
            acked_.clear(una_);
            again_.clear(una_);
        }
        next_ = std::max(next_, ++una_);
    }
    [[nodiscard]] PacketNumber lowest_lost() const {
        PacketNumber s = std::max(hint_, una_);
        while (true) {
            const std::uint64_t rest = lost_.rest_of_word(s);
            if (rest != 0) return s + static_cast<PacketNumber>(std::countr_zero(rest));
            s += 64 - (s & 63);
        }
    }

    BitRing acked_, lost_, again_;
    Bytes in_flight_;
    std::int64_t repeats_ = 0;
    PacketNumber una_ = 0;      // the first not acknowledged
    PacketNumber next_ = 0;     // the first not sent, or to be sent again by go-back-N
    PacketNumber fresh_ = 0;    // the first never sent
    PacketNumber end_ = 0;      // the first not posted
    PacketNumber highest_ = 0;  // all at or above this have not been reported to have arrived
    PacketNumber judged_ = 0;   // below this, infer_losses() has looked
    PacketNumber hint_ = 0;     // no packet below this is lost
    std::uint32_t lost_count_ = 0;
    LossRule rule_;
    std::uint32_t window_;
};

struct RtoProfile {
    SimDuration first = us(100);  // UEC's least; RoCE: roce_timeout(exponent)
    SimDuration most = ms(4300);
    std::uint32_t retries = 7;  // NCCL's default (facts C3)
};
/// InfiniBand's local acknowledgement timeout: 4.096 us x 2^exponent; NCCL's exponent is 20.
[[nodiscard]] constexpr SimDuration roce_timeout(int exponent) {
    return ns(4096) * (std::int64_t{1} << exponent);
}

/// The retransmission timer of a connection; doubles with each timeout in a row. 16 bytes.
class RetransmitTimer {
  public:
    /// A packet left.
    void sent(SimTime now, const RtoProfile& p) {
        if (deadline_ == SimTime::never()) deadline_ = now + wait(p);
    }
    /// Something new was acknowledged.
    void progress(SimTime now, bool more_in_flight, const RtoProfile& p) {
        fired_ = 0;
        deadline_ = more_in_flight ? now + wait(p) : SimTime::never();
    }
    [[nodiscard]] SimTime deadline() const { return deadline_; }
    /// The deadline has come. False: no retries are left, the connection has failed.
    [[nodiscard]] bool fire(const RtoProfile& p) {
        deadline_ = SimTime::never();
        return ++fired_ <= p.retries;
    }

  private:
    [[nodiscard]] SimDuration wait(const RtoProfile& p) const {
        SimDuration span = p.first;
        for (std::uint32_t n = 0; n < fired_ && span < p.most; ++n) span = span * 2;
        return std::min(p.most, span);
    }
    SimTime deadline_ = SimTime::never();
    std::uint32_t fired_ = 0;
};

}  // namespace weft
