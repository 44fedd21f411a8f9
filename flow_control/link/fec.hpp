#pragma once
// Forward error correction and link-layer retry: the latency they add to a link, and what is lost.
//
// Models: RS(544,514) over 10-bit symbols (IEEE 802.3 clause 119 and 91: "KP4"), which corrects 15
// symbols of a codeword of 5440 bits. Latency of one link = the time to gather the interleaved
// codewords, at 17/16 of the rate, + processing, 37 ns: 3 + 3 + 31 cycles at 1 GHz (a contribution
// to IEEE P802.3dj). 1 codeword at 100G, 2 at 200G and 400G, 4 from 800G on:
//     gather = interleave x 5440 bits / (rate x 17/16) = 51.2 ns at 100G and 200G, 25.6 at 400G
// Loss: symbols fail independently with s = 1 - (1 - ber)^10; a codeword fails when more than 15
// do; a frame when one of the codewords that it touches does: bits / 5140 + interleave of them.
// Retry (Ultra Ethernet 1.0, LLR): a frame that fails is sent again with all that followed it, so
// it costs one round trip of the link and the frame again. Leaves out: bursts of errors, the inner
// codes of 200 Gbit/s lanes, the replay buffer that fills on long links, a second fault on top.
// Arithmetic: doubles with + - * / alone, the same everywhere; for construction, not per packet.
#include <cstdint>

#include "base/units.hpp"

namespace weft {

struct FecProfile {
    bool on = true;
    SimDuration processing = ns(37);
};

/// Codewords that a port of `rate` fills in turn.
[[nodiscard]] int fec_interleave(Bandwidth rate);
/// What the code adds to the latency of one link, both ends together.
[[nodiscard]] SimDuration fec_latency(Bandwidth rate, const FecProfile& p = {});
/// Probability that a codeword cannot be corrected, at a bit error rate before correction.
[[nodiscard]] double codeword_loss(double bit_error_rate);
/// Probability that a frame is lost; at most 1.
[[nodiscard]] double frame_loss(double bit_error_rate, Bytes frame, Bandwidth rate);
/// A uniform draw of 64 bits below this means lost.
[[nodiscard]] std::uint64_t loss_threshold(double probability);

/// By how much one retry delays a frame and all behind it: the gap is seen as the next frame comes
/// (at most one frame later), the request goes back and the frame comes again.
struct RetryFacts {
    Bandwidth rate;
    SimDuration cable;  // one way
    Bytes frame;
    Bytes request{84};               // a request with preamble and gap
    SimDuration processing = ns(0);  // of both ends
};
[[nodiscard]] SimDuration retry_delay(const RetryFacts& f, const FecProfile& p = {});

}  // namespace weft
