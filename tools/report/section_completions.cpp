// How long messages or flows take: slowdown by size, and its distribution.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "tools/report/axes.hpp"
#include "tools/report/html.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 520;
constexpr double kHeight = 240;
constexpr double kLeft = 52;
constexpr double kBottom = 200;
constexpr double kTop = 14;
// Okabe and Ito's palette.
constexpr std::array<const char*, 5> kColours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                              "#56b4e9"};

const char* colour_of(std::size_t i) {
    return kColours[i % kColours.size()];
}

double ratio_of(std::int64_t milli) {
    return static_cast<double>(milli) / 1000;
}

/// Lines at powers of two of a slowdown.
std::vector<double> slowdown_ticks(double most) {
    const double factor = most > 256 ? 10 : most > 16 ? 4 : 2;
    std::vector<double> ticks;
    for (double t = 1; t <= most * 1.001; t *= factor) ticks.push_back(t);
    return ticks;
}

double most_slowdown(const std::vector<Completions>& all) {
    double most = 1.25;
    for (const Completions& c : all) most = std::max(most, ratio_of(c.slowdown_milli.max));
    return most;
}

std::string frame(const std::string& x_title, const std::string& y_title) {
    return rule(kLeft, kTop, kLeft, kBottom) + rule(kLeft, kBottom, kWidth - 8, kBottom) +
           text((kLeft + kWidth) / 2, kHeight - 8, x_title, "middle", "soft") +
           text(kLeft, kTop - 4, y_title, "start", "soft");
}

std::string by_size(const std::vector<Completions>& all) {
    double least = 1e18, largest = 1, most = 1.25;
    for (const Completions& c : all)
        for (const Completions::Size& s : c.sizes) {
            const auto size = static_cast<double>(s.largest.count());
            least = std::min(least, size);
            largest = std::max(largest, size);
            most = std::max(most, ratio_of(s.slowdown_milli.p99));
        }
    least = std::max(1.0, least / 2);
    const LogAxis x{kLeft, kWidth - 16 - kLeft, least, largest * 2};
    const LogAxis y{kBottom, -(kBottom - kTop - 6), 1, most * 1.1};
    std::string body = frame("size", "slowdown, p50 and p99 (dashed)");
    for (const double t : slowdown_ticks(most)) {
        body += rule(kLeft, y.at(t), kWidth - 8, y.at(t));
        body += text(kLeft - 6, y.at(t) + 4, fmt::format("{:g}", t), "end", "soft");
    }
    const double octaves = log2_of(largest * 2 / least);
    const double factor = octaves > 14 ? 16 : octaves > 7 ? 4 : 2;
    double tick = 1;
    while (tick < least) tick *= 2;
    for (; tick <= largest * 2; tick *= factor)
        body += text(x.at(tick), kBottom + 14, to_string(Bytes{static_cast<std::int64_t>(tick)}),
                     x.at(tick) > kWidth - 40 ? "end" : "middle", "soft");
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::vector<std::pair<double, double>> middle, high;
        for (const Completions::Size& s : all[i].sizes) {
            const double at = x.at(static_cast<double>(s.largest.count()));
            middle.emplace_back(at, y.at(ratio_of(s.slowdown_milli.p50)));
            high.emplace_back(at, y.at(ratio_of(s.slowdown_milli.p99)));
            const std::string tip =
                fmt::format("{} {} up to {}: p50 {:.2f}, p95 {:.2f}, p99 {:.2f}, max {:.2f}",
                            s.count, all[i].what, to_string(s.largest),
                            ratio_of(s.slowdown_milli.p50), ratio_of(s.slowdown_milli.p95),
                            ratio_of(s.slowdown_milli.p99), ratio_of(s.slowdown_milli.max));
            body += rect(at - 3, middle.back().second - 3, 6, 6, colour_of(i), tip);
            body += rect(at - 2, high.back().second - 2, 4, 4, colour_of(i), tip);
        }
        body += polyline(middle, colour_of(i)) + polyline(high, colour_of(i), true);
    }
    return svg(kWidth, kHeight, body, "slowdown by size");
}

std::string distribution(const std::vector<Completions>& all) {
    const double most = most_slowdown(all);
    const LogAxis x{kLeft, kWidth - 16 - kLeft, 1, most * 1.05};
    const auto y = [](double share) { return kBottom - (kBottom - kTop - 6) * share; };
    std::string body = frame("slowdown at most", "share of them");
    for (const double t : slowdown_ticks(most)) {
        body += rule(x.at(t), kTop, x.at(t), kBottom);
        body += text(x.at(t), kBottom + 14, fmt::format("{:g}", t), "middle", "soft");
    }
    for (const int share : {0, 25, 50, 75, 100}) {
        body += rule(kLeft, y(share / 100.0), kWidth - 8, y(share / 100.0));
        body += text(kLeft - 6, y(share / 100.0) + 4, fmt::format("{} %", share), "end", "soft");
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::vector<std::pair<double, double>> points{{x.at(1), y(0)}};
        for (const auto& [milli, count] : all[i].slowdowns) {
            const double at = x.at(ratio_of(milli));
            points.emplace_back(at, points.back().second);
            points.emplace_back(at,
                                y(static_cast<double>(count) / static_cast<double>(all[i].count)));
        }
        body += polyline(points, colour_of(i));
    }
    return svg(kWidth, kHeight, body, "distribution of slowdowns");
}

std::string table(const std::vector<Completions>& all) {
    std::string out =
        "<div class=\"scroll\"><table><thead><tr><th class=\"t\"></th><th>count</th>"
        "<th>completion p50</th><th>p95</th><th>p99</th><th>max</th><th>slowdown p50</th>"
        "<th>p95</th><th>p99</th><th>max</th></tr></thead><tbody>";
    for (std::size_t i = 0; i < all.size(); ++i) {
        const Completions& c = all[i];
        const Percentiles& t = c.time_ps;
        const Percentiles& s = c.slowdown_milli;
        out += fmt::format(
            "<tr><td class=\"t\"><span class=\"dot\" style=\"background:{}\"></span>{}</td><td>{}"
            "</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2f}</td><td>{:.2f}</td>"
            "<td>{:.2f}</td><td>{:.2f}</td></tr>",
            colour_of(i), escaped(c.what), c.count, to_string(ps(t.p50)), to_string(ps(t.p95)),
            to_string(ps(t.p99)), to_string(ps(t.max)), ratio_of(s.p50), ratio_of(s.p95),
            ratio_of(s.p99), ratio_of(s.max));
    }
    return out + "</tbody></table></div>";
}

}  // namespace

std::string packet_completions(const PacketSummary& p) {
    if (p.completions.empty()) return {};
    return section("Completion times",
                   "From when it is posted until its sender knows that all has arrived. Slowdown: "
                   "over what it takes on idle links; waiting behind others of the same queue pair "
                   "counts. Both axes are logarithmic on the left; on the right, the further a "
                   "curve reaches, the worse the tail.",
                   "<div class=\"columns\"><div>" + by_size(p.completions) + "</div><div>" +
                       distribution(p.completions) + "</div></div>" + table(p.completions));
}

}  // namespace weft::tools::html
