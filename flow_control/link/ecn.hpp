#pragma once
// ECN marking of one egress queue: random early detection without averaging, as switches do it.
//
// Models: probability 0 up to `low` bytes, linear up to `most` at `high`, 1 above; a step where low
// = high and most is 1 (DCTCP). Looked at when a packet is queued or when it leaves. Leaves out:
// averages of the queue, marks on other than the data class. Source: DCQCN (Zhu et al., SIGCOMM
// 2015, figure 5), DCTCP (Alizadeh et al., SIGCOMM 2010), facts C1.
#include <cstdint>

#include "base/units.hpp"

namespace weft {

struct EcnProfile {
    bool on = false;
    Bytes low;
    Bytes high;
    std::int64_t most_ppb = 1'000'000'000;  // probability at `high`, parts per 10^9
    bool at_dequeue = true;

    /// `draw` is uniform over 64 bits; only looked at between low and high.
    [[nodiscard]] constexpr bool marks(Bytes queue, std::uint64_t draw) const {
        if (!on || queue <= low) return false;
        if (queue > high || low == high) return true;
        // most * (queue - low) / (high - low) > draw / 2^64
        const auto span = static_cast<unsigned __int128>((high - low).count());
        const auto part = static_cast<unsigned __int128>((queue - low).count()) *
                          static_cast<std::uint64_t>(most_ppb);
        return (static_cast<unsigned __int128>(draw >> 32) * span * 1'000'000'000) < (part << 32);
    }
};

}  // namespace weft
