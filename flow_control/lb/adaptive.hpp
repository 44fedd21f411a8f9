#pragma once
// AdaptivePort: which of n equal ports of a switch the next packet takes, by what waits in them.
//
// Models: the port of the least level, level = bytes queued >> shift, at most `levels` - 1, as
// chips quantise (Broadcom's dynamic load balancing: 8 levels); of equals the first from `start`
// on, a counter for round robin or a hash for stable ties. two_choices(): DRILL (Ghorbani et al.,
// SIGCOMM 2017): two draws and the port that was best last time. Leaves out: link rates (pass bytes
// / rate where they differ), congestion further on (CONGA), measured load of the past. Cost:
// least() looks at ports until it finds an empty one; two_choices() at three.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/units.hpp"

namespace weft {

struct AdaptivePort {
    unsigned shift = 12;  // levels of 4 KiB
    std::int64_t levels = 8;
    std::uint32_t turn = 0;  // of round robin
    std::uint32_t best = 0;  // of two_choices()

    [[nodiscard]] std::int64_t level(Bytes queued) const {
        return std::min(queued.count() >> shift, levels - 1);
    }
    /// depth(i): bytes queued for port i < n. Ties go to the first from `start` < n on.
    template <class Depth>
    [[nodiscard]] std::size_t least(std::size_t n, Depth&& depth, std::size_t start) const {
        std::size_t chosen = start;
        std::int64_t least_level = levels;
        for (std::size_t k = 0, i = start; k < n; ++k, i = i + 1 == n ? 0 : i + 1) {
            const std::int64_t l = level(depth(i));
            if (l >= least_level) continue;
            chosen = i;
            least_level = l;
            if (l <= 0) break;
        }
        return chosen;
    }
    /// The same, with ties in turn.
    template <class Depth>
    std::size_t least_in_turn(std::size_t n, Depth&& depth) {
        const std::size_t chosen = least(n, depth, turn < n ? turn : 0);
        turn = static_cast<std::uint32_t>(chosen + 1);
        return chosen;
    }
    /// `draw` is uniform over 64 bits.
    template <class Depth>
    std::size_t two_choices(std::size_t n, Depth&& depth, std::uint64_t draw) {
        const auto pick = [n](std::uint64_t bits) {
            return static_cast<std::uint32_t>(((bits & 0xffff'ffffU) * n) >> 32);
        };
        if (best >= n) best = 0;
        for (const std::uint32_t i : {pick(draw), pick(draw >> 32)})
            if (level(depth(i)) < level(depth(best))) best = i;
        return best;
    }
};

}  // namespace weft
