#pragma once
// ClassScheduler: which class of one egress sends next.
//
// Models: strict priority for the first `strict` classes, class 0 first; the others share what is
// left by weight, with deficits (Shreedhar, Varghese, SIGCOMM 1995) that may go below zero: a class
// sends while its credit is positive and pays afterwards (surplus round robin, Adiseshu et al.,
// SIGCOMM 1996), so nobody needs to know the size of a packet before it is chosen. A class that
// waits for a pause keeps its credit, one that has emptied loses it and keeps its debt.
// Shares of bytes are as the weights, within one quantum and one packet a class at any time.
// Leaves out: rate limits of a class, preemption of a packet that is leaving.
// Cost: a few instructions where one class is ready, at most two turns around the classes else.
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "base/units.hpp"

namespace weft {

class ClassScheduler {
  public:
    static constexpr int kNobody = -1;

    /// Class k >= strict has weights[k - strict], positive. `largest`: of a packet; the smallest
    /// quantum is that, so one turn earns every class a packet.
    ClassScheduler(unsigned strict, std::span<const std::uint32_t> weights, Bytes largest)
        : strict_mask_((1U << strict) - 1),
          first_(strict),
          count_(strict + static_cast<unsigned>(weights.size())),
          current_(strict) {
        WEFT_CHECK(count_ >= 1 && count_ <= quantum_.size(), "{} classes", count_);
        std::uint32_t least = ~0U;
        for (const std::uint32_t w : weights) least = w < least ? w : least;
        WEFT_CHECK(least > 0 && largest.count() > 0, "a class without weight");
        for (std::size_t k = 0; k < weights.size(); ++k)
            quantum_[strict + k] =
                static_cast<std::int32_t>((largest.count() * weights[k] + least - 1) / least);
    }
    /// Control before data, as most fabrics run.
    ClassScheduler() : ClassScheduler(1, std::array<std::uint32_t, 1>{1}, Bytes{1}) {}

    /// The class to serve, or kNobody. Bit k of `backlog`: class k has packets; of `blocked`: it is
    /// paused. Call sent() for the packet that leaves.
    int next(unsigned backlog, unsigned blocked) {
        const unsigned ready = backlog & ~blocked;
        if (ready == 0) return kNobody;
        const unsigned strict = ready & strict_mask_;
        if (strict != 0) return std::countr_zero(strict);
        if ((ready & (ready - 1)) == 0 && backlog == ready) return std::countr_zero(ready);
        return next_by_weight(ready, backlog);
    }

    void sent(int cls, Bytes bytes) {
        const auto k = static_cast<std::size_t>(cls);
        if (k >= first_) credit_[k] -= static_cast<std::int32_t>(bytes.count());
        // Alone, a class pays nobody: its debt stays within one quantum.
        if (credit_[k] < -quantum_[k]) credit_[k] = -quantum_[k];
    }

  private:
    int next_by_weight(unsigned ready, unsigned backlog) {
        while (true) {
            const unsigned bit = 1U << current_;
            if ((backlog & bit) == 0 && credit_[current_] > 0) credit_[current_] = 0;
            if ((ready & bit) != 0 && credit_[current_] > 0) return static_cast<int>(current_);
            current_ = current_ + 1 == count_ ? first_ : current_ + 1;
            if ((ready >> current_ & 1U) != 0) credit_[current_] += quantum_[current_];
        }
    }

    std::array<std::int32_t, 8> credit_{};
    std::array<std::int32_t, 8> quantum_{};
    unsigned strict_mask_, first_, count_, current_;
};

}  // namespace weft
