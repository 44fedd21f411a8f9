#pragma once
// Axes of the pictures of packets: time from zero, and logarithmic ones.
#include <string>
#include <utility>
#include <vector>

#include "base/units.hpp"

namespace weft::tools {

/// log2 of x > 0, to 1e-6, the same on every machine.
[[nodiscard]] double log2_of(double x);

namespace html {

/// From `begin` to `end` over `width`, from `left` on.
struct TimeAxis {
    double left = 0;
    double width = 1;
    SimTime begin;
    SimTime end;

    [[nodiscard]] double x(SimTime t) const {
        const SimDuration whole = end - begin;
        return left + width * static_cast<double>((t - begin).ps()) /
                          static_cast<double>(whole.ps() > 0 ? whole.ps() : 1);
    }
    /// Lines at round times from y = `top` down to `bottom`, and the times since
    /// `begin` below.
    [[nodiscard]] std::string ticks(double top, double bottom) const;
};

/// Powers of two (or of ten) from `low` to `high`, over `length` from `start` on.
struct LogAxis {
    double start = 0;
    double length = 1;  // negative: upwards
    double low = 1;
    double high = 2;

    [[nodiscard]] double at(double v) const {
        const double v1 = v < low ? low : v > high ? high : v;
        return start + length * log2_of(v1 / low) / log2_of(high / low);
    }
};

/// <polyline> through points.
[[nodiscard]] std::string polyline(const std::vector<std::pair<double, double>>& points,
                                   const std::string& colour, bool dashed = false);
/// <line class="axis">
[[nodiscard]] std::string rule(double x1, double y1, double x2, double y2);

}  // namespace html
}  // namespace weft::tools
