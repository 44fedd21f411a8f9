#pragma once
// What the congestion controls share: doubles brought back into the bounds that every answer keeps,
// and quantities that scale with a port's rate. Arithmetic: + - * / alone.
#include <algorithm>
#include <cstdint>

#include "base/units.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft {

/// `bits_per_second` within [low, high], and positive. The text of the comparison sends what is not
/// a number to `low`.
[[nodiscard]] inline Bandwidth rate_within(double bits_per_second, Bandwidth low, Bandwidth high) {
    const auto least = static_cast<double>(std::max<std::int64_t>(1, low.bits_per_second()));
    const auto most = static_cast<double>(high.bits_per_second());
    if (!(bits_per_second > least))
        return std::min(high, Bandwidth{std::max<std::int64_t>(1, low.bits_per_second())});
    return bits_per_second < most ? Bandwidth{static_cast<std::int64_t>(bits_per_second)} : high;
}

/// `value` within [low, high]; `low` for what is not a number.
[[nodiscard]] inline double within(double value, double low, double high) {
    if (!(value > low)) return low;
    return value < high ? value : high;
}

[[nodiscard]] inline double as_double(Bytes b) {
    return static_cast<double>(b.count());
}
[[nodiscard]] inline double as_double(Bandwidth b) {
    return static_cast<double>(b.bits_per_second());
}
[[nodiscard]] inline double as_double(SimDuration d) {
    return static_cast<double>(d.ps());
}

/// Rate x base round trip, at least one packet.
[[nodiscard]] inline Bytes path_product(const PathFacts& path) {
    return std::max(path.packet, bytes_in(path.base_rtt, path.line_rate));
}

/// What a sender at `rate` may have in flight where the window follows the rate.
[[nodiscard]] inline Bytes window_at(const PathFacts& path, Bandwidth rate) {
    return std::max(path.packet, bytes_in(path.base_rtt, rate));
}

/// `amount`, given for a port of `reference`, at a port of `rate`.
[[nodiscard]] inline Bandwidth scaled_to(Bandwidth rate, Bandwidth amount, Bandwidth reference) {
    const Int128 wide =
        Int128{amount.bits_per_second()} * rate.bits_per_second() / reference.bits_per_second();
    return Bandwidth{static_cast<std::int64_t>(std::min<Int128>(wide, std::int64_t{1} << 60))};
}
[[nodiscard]] inline Bytes scaled_to(Bandwidth rate, Bytes amount, Bandwidth reference) {
    return Bytes{static_cast<std::int64_t>(std::min<Int128>(
        Int128{amount.count()} * rate.bits_per_second() / reference.bits_per_second(),
        std::int64_t{1} << 60))};
}

/// What acked_to passes one round trip after this ACK. Bytes that were lost and sent again are in
/// sent_to twice, so what is in flight says it better.
[[nodiscard]] inline std::uint64_t round_trip_end(const Ack& ack) {
    return ack.acked_to + static_cast<std::uint64_t>(std::max(Bytes{0}, ack.in_flight).count());
}

/// Whether the sender has use for a larger window: it filled at least half of this one.
[[nodiscard]] inline bool uses_window(const Ack& ack, double window) {
    return 2 * (as_double(ack.in_flight) + as_double(ack.acked)) >= window;
}

/// base^n by squaring.
[[nodiscard]] inline double power(double base, std::int64_t n) {
    double result = 1;
    for (; n > 0 && result > 0; n >>= 1, base *= base)
        if ((n & 1) != 0) result *= base;
    return result;
}

}  // namespace weft
