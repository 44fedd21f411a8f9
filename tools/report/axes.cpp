#include "tools/report/axes.hpp"

#include <fmt/format.h>

#include "tools/report/html.hpp"

namespace weft::tools {

double log2_of(double x) {
    double whole = 0;
    while (x >= 2) x /= 2, whole += 1;
    while (x < 1) x *= 2, whole -= 1;
    double part = 0;
    for (double bit = 0.5; bit > 1e-6; bit /= 2) {
        x *= x;
        if (x < 2) continue;
        x /= 2;
        part += bit;
    }
    return whole + part;
}

namespace html {
namespace {

/// 1, 2 or 5 times a power of ten, so that about six fit.
std::int64_t round_step(std::int64_t whole) {
    std::int64_t step = 1;
    while (true) {
        for (const std::int64_t m : {1, 2, 5})
            if (step * m * 8 >= whole) return step * m;
        step *= 10;
    }
}

}  // namespace

std::string TimeAxis::ticks(double top, double bottom) const {
    std::string out;
    const std::int64_t step = round_step((end - begin).ps());
    for (std::int64_t t = 0; t <= (end - begin).ps(); t += step) {
        const double at = x(begin + SimDuration{t});
        out += rule(at, top, at, bottom);
        out +=
            text(at, bottom + 13, to_string(SimDuration{t}), t == 0 ? "start" : "middle", "soft");
    }
    return out;
}

std::string polyline(const std::vector<std::pair<double, double>>& points,
                     const std::string& colour, bool dashed) {
    std::string out = "<polyline fill=\"none\" stroke-width=\"1.8\" stroke=\"" + colour + "\"";
    if (dashed) out += " stroke-dasharray=\"5 3\"";
    out += " points=\"";
    for (const auto& [x, y] : points) out += fmt::format("{:.1f},{:.1f} ", x, y);
    return out + "\"/>";
}

std::string rule(double x1, double y1, double x2, double y2) {
    return fmt::format(R"(<line class="axis" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)",
                       x1, y1, x2, y2);
}

}  // namespace html
}  // namespace weft::tools
