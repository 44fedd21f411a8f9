#pragma once
// Trimming: a data packet that does not fit loses its payload, and its header goes on with
// priority, so that the receiver learns of the loss within a round trip.
//
// Models: which packets may be cut, to what size, the class that the header then takes, and who is
// cut: the packet that arrives, or with probability 1/2 the last one queued (htsim's composite
// queue, as in NDP, SIGCOMM 2017, section 3.1, to break synchrony). Size 64 bytes: UEC's
// reference simulator (facts C2). The header is dropped like any packet where its class is full.
// Leaves out: trimming at the sender, headers returned to the sender (NDP's bounce).
//
//     if (buffer.arrive(in, data, out, size) == kDrop && trim.cuts(size)) {
//         if (trim.last_instead(draw) && the queue's last packet can be cut)
//             buffer.leave(that one), arrive it again with trim.size and trim.cls; retry this one
//         else arrive this one with trim.size and trim.cls
//     }
#include <cstdint>

#include "base/units.hpp"

namespace weft {

struct TrimProfile {
    bool on = false;
    bool last_or_arriving = true;  // else always the packet that arrives
    std::uint8_t cls = 0;
    Bytes size{64};

    /// Whether a packet of `bytes` that does not fit is cut rather than dropped.
    [[nodiscard]] constexpr bool cuts(Bytes bytes) const { return on && bytes > size; }
    /// Whether the last packet queued is cut in place of the one that arrives. `draw` is uniform
    /// over 64 bits.
    [[nodiscard]] constexpr bool last_instead(std::uint64_t draw) const {
        return last_or_arriving && (draw >> 63) != 0;
    }
};

}  // namespace weft
