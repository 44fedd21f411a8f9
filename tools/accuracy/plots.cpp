#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>

#include "tools/accuracy/accuracy.hpp"
#include "tools/accuracy/plot.hpp"

namespace weft::tools {
namespace {

constexpr std::array<const char*, 6> kOfCollective{"#0072b2", "#009e73", "#d55e00",
                                                   "#cc79a7", "#e69f00", "#56b4e9"};
constexpr std::array<const char*, 9> kOfMachine{"#0072b2", "#d55e00", "#009e73",
                                                "#cc79a7", "#e69f00", "#56b4e9",
                                                "#7b4fb5", "#52606d", "#a8323a"};

bool drawn(const ValidatedCase& c) {
    return c.problem.empty() && !c.points.empty() && c.measured->use != Use::kSimulated;
}

double microseconds(SimDuration d) {
    return static_cast<double>(d.ps()) / 1e6;
}

/// 1, 10, 100 us ... between two times.
std::vector<std::pair<double, std::string>> time_ticks(double low, double high) {
    constexpr std::array<const char*, 9> kLabels{"0.1 us", "1 us",   "10 us", "100 us", "1 ms",
                                                 "10 ms",  "100 ms", "1 s",   "10 s"};
    std::vector<std::pair<double, std::string>> ticks;
    double at = 0.1;
    for (const char* label : kLabels) {
        if (at >= low && at <= high) ticks.emplace_back(at, label);
        at *= 10;
    }
    return ticks;
}

std::vector<std::pair<double, std::string>> size_ticks(double low, double high) {
    std::vector<std::pair<double, std::string>> ticks;
    for (std::int64_t size = 1; static_cast<double>(size) <= high; size *= 16)
        if (static_cast<double>(size) >= low)
            ticks.emplace_back(static_cast<double>(size), to_string(Bytes{size}));
    return ticks;
}

/// Ratios of simulated to measured, named as errors.
std::vector<std::pair<double, std::string>> error_ticks(double low, double high) {
    std::vector<std::pair<double, std::string>> ticks;
    for (const double r : {1.0 / 64, 1.0 / 32, 1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2, 0.8, 1.0, 1.25,
                           2.0, 4.0, 8.0, 16.0, 32.0, 64.0})
        if (r >= low && r <= high)
            ticks.emplace_back(r, r == 1.0 ? "0" : fmt::format("{:+.0f} %", 100 * (r - 1)));
    return ticks;
}

Drawing scatter(const Validation& v) {
    double low = 1e18;
    double high = 0;
    std::map<std::string, std::pair<Plot::Points, Plot::Points>> of;  // machine: test, fit
    for (const ValidatedCase& c : v.cases) {
        if (!drawn(c)) continue;
        auto& [test, fit] = of[c.measured->machine];
        for (const ValidatedPoint& p : c.points) {
            const double m = microseconds(p.measured);
            const double s = std::max(microseconds(p.simulated), 1e-3);
            (c.measured->use == Use::kFit ? fit : test).emplace_back(m, s);
            low = std::min({low, m, s});
            high = std::max({high, m, s});
        }
    }
    low /= 1.5;
    high = std::max(high, 1e-2) * 1.5;
    const auto ticks = time_ticks(low, high);
    Plot plot("Measured and simulated time, every point",
              {.low = low, .high = high, .title = "measured", .ticks = ticks},
              {.low = low, .high = high, .title = "simulated", .ticks = ticks}, 520);
    for (const double factor : {0.5, 2.0}) plot.guide(factor, false, false);
    plot.guide(1, false, true);
    std::size_t colour = 0;
    for (const auto& [machine, points] : of) {
        const std::string c = kOfMachine[colour++ % kOfMachine.size()];
        plot.dots(points.second, {.colour = c, .dashed = true});
        plot.dots(points.first, {.colour = c});
        if (!points.first.empty()) plot.key({.colour = c}, machine + ", test");
        if (!points.second.empty()) plot.key({.colour = c, .dashed = true}, machine + ", fit");
    }
    return {"scatter", plot.svg()};
}

Drawing errors_of(const Validation& v, const std::string& machine) {
    double least_size = 1e18;
    double most_size = 1;
    double low = 0.5;
    double high = 2;
    for (const ValidatedCase& c : v.cases) {
        if (!drawn(c) || c.measured->machine != machine) continue;
        for (const ValidatedPoint& p : c.points) {
            const double ratio = 1 + error_of(p.simulated, p.measured);
            least_size = std::min(least_size, static_cast<double>(p.size.count()));
            most_size = std::max(most_size, static_cast<double>(p.size.count()));
            low = std::min(low, std::max(ratio, 1.0 / 64) / 1.1);
            high = std::max(high, ratio * 1.1);
        }
    }
    Plot plot(fmt::format("{}: error over size", machine),
              {.low = least_size / 1.5,
               .high = most_size * 1.5,
               .title = "size, as nccl-tests counts it",
               .ticks = size_ticks(least_size / 1.5, most_size * 1.5)},
              {.low = low,
               .high = high,
               .title = "(simulated - measured) / measured",
               .ticks = error_ticks(low, high)},
              340);
    plot.zone(0.9, 1.1);
    plot.guide(1, true, true);
    std::set<std::pair<Use, Collective>> kinds;
    for (const ValidatedCase& c : v.cases) {
        if (!drawn(c) || c.measured->machine != machine) continue;
        Plot::Points points;
        for (const ValidatedPoint& p : c.points)
            points.emplace_back(static_cast<double>(p.size.count()),
                                std::max(1 + error_of(p.simulated, p.measured), 1.0 / 64));
        const auto kind = static_cast<std::size_t>(c.measured->collective);
        const Plot::Style style{.colour = kOfCollective[kind],
                                .dashed = c.measured->use == Use::kFit};
        plot.line(points, style, c.measured->id);
        plot.dots(points, style);
        kinds.emplace(c.measured->use, c.measured->collective);
    }
    for (const auto& [use, kind] : kinds)
        plot.key(
            {.colour = kOfCollective[static_cast<std::size_t>(kind)], .dashed = use == Use::kFit},
            fmt::format("{}, {}", name_of(kind), name_of(use)));
    return {fmt::format("error-{}", machine), plot.svg()};
}

}  // namespace

std::vector<Drawing> accuracy_plots(const Validation& v) {
    std::vector<std::string> machines;
    for (const ValidatedCase& c : v.cases)
        if (drawn(c) &&
            std::find(machines.begin(), machines.end(), c.measured->machine) == machines.end())
            machines.push_back(c.measured->machine);
    std::sort(machines.begin(), machines.end());
    if (machines.empty()) return {};
    std::vector<Drawing> all{scatter(v)};
    for (const std::string& m : machines) all.push_back(errors_of(v, m));
    return all;
}

}  // namespace weft::tools
