#pragma once
// Receiver credits: the receiver says what may be sent, so its own port is never overbooked.
//
// Models: the pull pacer of UEC RCCC (Ultra Ethernet specification 1.0; facts C2): senders say how
// much they want to send; grants of one quantum go round robin to those that want more, one each
// quantum / (share x line rate). A sender starts with a window of its own and then spends credit.
// Leaves out: congestion inside the fabric (RCCC needs another control for it), credit that is lost
// on the way, priorities. Pure: the caller brings the time.
// Defaults: quantum 4 packets of 4096 B, share 99 % (facts C2, referees.json uec_rccc_trim).
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/units.hpp"

namespace weft {

struct CreditOptions {
    Bandwidth line_rate;
    Bytes quantum{4 * 4096};
    std::int64_t share_ppb = 990'000'000;  // of the line rate
};

/// The receiver's side: who gets the next credit, and when.
class CreditPacer {
  public:
    struct Grant {
        std::uint32_t sender = 0;
        Bytes bytes;
    };
    explicit CreditPacer(const CreditOptions& o) : o_(o) {
        WEFT_CHECK(o.line_rate > Bandwidth{0} && o.quantum > Bytes{0} && o.share_ppb > 0 &&
                       o.share_ppb <= 1'000'000'000,
                   "quantum {}, share {}", o.quantum.count(), o.share_ppb);
    }

    /// `sender` wants `bytes` more than it said before.
    void wants(SimTime now, std::uint32_t sender, Bytes bytes) {
        if (bytes <= Bytes{0}) return;
        if (sender >= wanted_.size()) wanted_.resize(sender + std::size_t{1});
        if (wanted_[sender] == Bytes{0}) turn_.push_back(sender);
        wanted_[sender] += bytes;
        next_ = std::max(next_, now);
    }
    /// It wants nothing any more.
    /// What it had wanted.
    Bytes leaves(std::uint32_t sender) {
        if (sender >= wanted_.size() || wanted_[sender] == Bytes{0}) return Bytes{0};
        std::erase(turn_, sender);
        return std::exchange(wanted_[sender], Bytes{0});
    }

    /// When grant() has something to give; never() while nobody wants anything.
    [[nodiscard]] SimTime timer() const { return turn_.empty() ? SimTime::never() : next_; }

    /// The next credit, once its time has come. The last one of a sender is what it still wants,
    /// and the pace follows the bytes.
    std::optional<Grant> grant(SimTime now) {
        if (turn_.empty() || now < next_) return std::nullopt;
        const std::uint32_t sender = turn_.front();
        turn_.pop_front();
        const Bytes bytes = std::min(o_.quantum, wanted_[sender]);
        wanted_[sender] -= bytes;
        if (wanted_[sender] > Bytes{0}) turn_.push_back(sender);
        next_ = now + spacing(bytes);
        return Grant{sender, bytes};
    }

  private:
    [[nodiscard]] SimDuration spacing(Bytes bytes) const {
        const Int128 line_time = transfer_time(bytes, o_.line_rate).ps();
        return ps(static_cast<std::int64_t>(ceil_div(line_time * 1'000'000'000, o_.share_ppb)));
    }

    CreditOptions o_;
    std::vector<Bytes> wanted_;       // by sender
    std::deque<std::uint32_t> turn_;  // those that want something, next first
    SimTime next_;
};

/// The sender's side: what may go now.
class CreditAccount {
  public:
    /// `start` may go before any credit comes.
    explicit CreditAccount(Bytes start) : left_(start) {}
    void granted(Bytes bytes) { left_ += bytes; }
    [[nodiscard]] bool allows(Bytes packet) const { return left_ > Bytes{0} && packet > Bytes{0}; }
    /// A packet may overdraw by less than itself; the next waits until the debt is paid.
    void sent(Bytes packet) { left_ -= packet; }
    [[nodiscard]] Bytes left() const { return left_; }

  private:
    Bytes left_;
};

}  // namespace weft
