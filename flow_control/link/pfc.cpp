#include "flow_control/link/pfc.hpp"

#include "base/check.hpp"

namespace weft {

namespace {

SimDuration quanta_time(std::int64_t quanta, Bandwidth rate) {
    return transfer_time(Bytes{quanta * 64}, rate);
}

/// Bytes of cells that `bytes` of frames of at least `smallest` can take. A frame that spills one
/// byte into a cell wastes most of it: the worst is the smallest frame, or the one just above the
/// cells that it fills.
Bytes in_cells(Bytes bytes, std::int64_t cell, std::int64_t smallest) {
    if (cell == 0) return bytes;
    const std::int64_t cells = static_cast<std::int64_t>(ceil_div(smallest, cell));
    const std::int64_t spill = cells * cell + 1;
    const bool spill_is_worse = (cells + 1) * smallest > cells * spill;
    const std::int64_t taken = (spill_is_worse ? cells + 1 : cells) * cell;
    const std::int64_t frame = spill_is_worse ? spill : smallest;
    return Bytes{static_cast<std::int64_t>(ceil_div(Int128{bytes.count()} * taken, frame))};
}

}  // namespace

SimDuration PfcProfile::holds(Bandwidth rate) const {
    return quanta == 0 ? kForEver : quanta_time(quanta, rate);
}

SimDuration PfcProfile::refresh(Bandwidth rate) const {
    return quanta == 0 ? kForEver : quanta_time(quanta, rate) / 2;
}

Bytes pfc_headroom(const HeadroomFacts& f) {
    WEFT_CHECK(f.rate.bits_per_second() > 0 && f.smallest.count() > 0 && f.cell.count() >= 0,
               "a link without a rate, or frames without a size");
    const SimDuration waits = 2 * f.cable + 2 * f.interface + f.response;
    const Bytes meanwhile = bytes_in(waits, f.rate) + Bytes{1} + f.blocking_mtu + 2 * f.frame;
    return in_cells(2 * f.mtu + meanwhile, f.cell.count(), f.smallest.count());
}

Bytes hpcc_ns3_headroom(Bandwidth rate, SimDuration delay) {
    return bytes_in(3 * delay, rate);
}

SimDuration pause_response(Bandwidth rate) {
    struct Row {
        std::int64_t gbps, quanta;
    };
    constexpr Row kRows[] = {{10, 67},   {25, 80},   {40, 118}, {50, 147},
                             {100, 394}, {200, 453}, {400, 905}};
    for (const Row& row : kRows)
        if (rate.bits_per_second() <= row.gbps * 1'000'000'000)
            return quanta_time(row.quanta, rate);
    return quanta_time(905, rate);
}

}  // namespace weft
