// Step times over seeds: how many runs took how long, and the split of those that stand for it.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;
constexpr double kHeight = 130;
constexpr std::size_t kBins = 40;

struct Bins {
    std::array<std::size_t, kBins> runs{};
    std::size_t most = 1;
};

/// Equal parts of the range; integers, so that the drawing is the same everywhere.
Bins bins_of(const std::vector<SeedRun>& seeds, SimDuration least, SimDuration most) {
    Bins b;
    const Int128 range = std::max<std::int64_t>((most - least).ps(), 1);
    for (const SeedRun& s : seeds) {
        const Int128 at = Int128{(s.step_time - least).ps()} * Int128{kBins} / range;
        const std::size_t bin = std::min(static_cast<std::size_t>(at), kBins - 1);
        b.most = std::max(b.most, ++b.runs[bin]);
    }
    return b;
}

std::string histogram(const std::vector<SeedRun>& seeds) {
    const SimDuration least = percentile(seeds, 0).step_time;
    const SimDuration most = percentile(seeds, 100).step_time;
    const Bins b = bins_of(seeds, least, most);
    const double step = kWidth / static_cast<double>(kBins);
    std::string body;
    for (std::size_t i = 0; i < kBins; ++i) {
        if (b.runs[i] == 0) continue;
        const double h = kHeight * static_cast<double>(b.runs[i]) / static_cast<double>(b.most);
        const SimDuration from = least + SimDuration{(most - least).ps() / std::int64_t{kBins} *
                                                     static_cast<std::int64_t>(i)};
        body += rect(step * static_cast<double>(i), kHeight - h, step - 1, h, "#0072b2",
                     fmt::format("{} runs from {}", b.runs[i], to_string(from)));
    }
    for (const unsigned p : {50U, 90U, 99U}) {
        const double share = ratio(percentile(seeds, p).step_time - least, most - least);
        const double x = std::clamp(share * kWidth, 1.0, kWidth - 1);
        body += rect(x - 0.75, 0, 1.5, kHeight, "#d55e00", fmt::format("p{}", p));
        body += text(x + (x > kWidth - 40 ? -4 : 4), 11, fmt::format("p{}", p),
                     x > kWidth - 40 ? "end" : "start", "small");
    }
    body += text(0, kHeight + 16, to_string(least), "start", "soft");
    body += text(kWidth, kHeight + 16, to_string(most), "end", "soft");
    return svg(kWidth, kHeight + 22, body, "step times over seeds");
}

std::string row(const char* name, const SeedRun& s) {
    return fmt::format(
        "<tr><td class=\"t\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td></tr>",
        name, to_string(s.step_time), to_string(s.typical.in_collectives),
        to_string(s.typical.waiting), to_string(s.typical.transferring), s.seed,
        s.slowest_rank.valid() ? fmt::to_string(s.slowest_rank.value()) : "-");
}

}  // namespace

std::string seeds(const Result& r) {
    if (r.seeds.empty()) return {};
    std::string out = histogram(r.seeds) +
                      "<div class=\"scroll\"><table><thead><tr><th class=\"t\">run</th><th>step "
                      "time</th><th>in collectives</th><th>waiting</th><th>transferring</th>"
                      "<th>seed</th><th>slowest rank</th></tr></thead><tbody>";
    out += row("min", percentile(r.seeds, 0)) + row("p50", percentile(r.seeds, 50)) +
           row("p90", percentile(r.seeds, 90)) + row("p99", percentile(r.seeds, 99)) +
           row("max", percentile(r.seeds, 100));
    return section(fmt::format("Step times of {} seeds", r.seeds.size()),
                   "Everything else on this page is of the run with the median step time. The "
                   "split is of the rank that waits a median time in its collectives: waiting and "
                   "transferring add up.",
                   out + "</tbody></table></div>");
}

}  // namespace weft::tools::html
