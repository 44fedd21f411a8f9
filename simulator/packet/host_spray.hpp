#pragma once
// HostSpray: the entropies of one connection whose host sprays: lb/entropy.hpp's rule, its memory,
// and which entropy each packet in flight took, so that a loss is blamed on its path.
//
// Memory: 80 bytes, up to 2 bytes an entropy, 1 byte a packet between the first that is not
// acknowledged and the last that was sent. Leaves out: entropies above 255.
#include <memory>
#include <vector>

#include "flow_control/lb/entropy.hpp"

namespace weft::packet {

class HostSpray {
  public:
    HostSpray(const SprayProfile& profile, std::uint64_t key)
        : storage_(std::make_unique<std::uint8_t[]>(HostEntropy::storage(profile))),
          rule_(profile, key, {storage_.get(), HostEntropy::storage(profile)}) {}

    /// For packet `seq`; all before `acked` are acknowledged.
    std::uint16_t next(std::uint32_t seq, std::uint32_t acked) {
        if (seq - acked >= taken_.size()) grow(seq, acked);
        const std::uint32_t e = rule_.next();
        taken_[seq & (taken_.size() - 1)] = static_cast<std::uint8_t>(e);
        return static_cast<std::uint16_t>(e);
    }
    /// What became of a packet that took entropy `e`.
    void feedback(std::uint32_t e, PathNews news, SimTime now, const SprayProfile& p) {
        rule_.feedback(e, news, now, p);
    }
    /// Packet `seq`, which is not acknowledged, is lost.
    void lost(std::uint32_t seq, PathNews how, SimTime now, const SprayProfile& p) {
        rule_.feedback(taken_[seq & (taken_.size() - 1)], how, now, p);
    }

  private:
    void grow(std::uint32_t seq, std::uint32_t acked) {
        std::size_t n = taken_.empty() ? 32 : taken_.size();
        while (seq - acked >= n) n *= 2;
        std::vector<std::uint8_t> wider(n, 0);
        if (!taken_.empty())
            for (std::uint32_t s = acked; s != acked + taken_.size(); ++s)
                wider[s & (n - 1)] = taken_[s & (taken_.size() - 1)];
        taken_ = std::move(wider);
    }
    std::unique_ptr<std::uint8_t[]> storage_;
    HostEntropy rule_;
    std::vector<std::uint8_t> taken_;  // by number, modulo a power of two
};

}  // namespace weft::packet
