#include "simulator/flow/edges.hpp"

namespace weft::flow {

Fill longest_run(const std::vector<Hop>& ring, std::uint32_t steps) {
    const auto n = static_cast<std::uint32_t>(ring.size());
    Fill whole;
    for (const Hop& h : ring) whole.add(h, steps / n);
    const std::uint32_t rest = steps % n;
    Fill window;
    for (std::uint32_t i = 0; i < rest; ++i) window.add(ring[i]);
    Fill longest = window;
    for (std::uint32_t start = 1; start < n && rest > 0; ++start) {
        const Hop& gone = ring[start - 1];
        window.latency -= gone.latency;
        --(gone.scale_up ? window.scale_up : window.network);
        window.add(ring[(start + rest - 1) % n]);
        if (window.longer_than(longest)) longest = window;
    }
    whole.add(longest);
    return whole;
}

}  // namespace weft::flow
