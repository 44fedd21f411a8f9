// Communication by group: hidden behind compute, waiting for others, exposed.
#include <algorithm>
#include <fmt/format.h>

#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;
constexpr double kLeft = 70;
constexpr double kRight = 250;

std::string bars(const Result& r) {
    SimDuration most{1};
    for (const FamilyTime& f : r.families) most = std::max(most, f.total);
    std::string body;
    double y = 4;
    for (const FamilyTime& f : r.families) {
        const double scale = (kWidth - kLeft - kRight) / static_cast<double>(most.ps());
        const double total = scale * static_cast<double>(f.total.ps());
        const double exposed = r.has_compute ? scale * static_cast<double>(f.exposed.ps()) : total;
        const double waiting = scale * static_cast<double>(f.waiting.ps());
        body += text(0, y + 15, f.family);
        body += fmt::format("<g opacity=\"0.3\">{}</g>",
                            rect(kLeft, y, total, 20, colour_of(f.family),
                                 f.family + " in flight: " + to_string(f.total)));
        body += rect(kLeft, y, exposed, 20, colour_of(f.family),
                     f.family + (r.has_compute ? " exposed: " : " in flight: ") +
                         to_string(r.has_compute ? f.exposed : f.total));
        body += rect(kLeft, y + 22, waiting, 4, "#52606d",
                     f.family + " waiting for other ranks: " + to_string(f.waiting));
        const std::string words =
            r.has_compute
                ? fmt::format("{} of {} exposed", to_string(f.exposed), to_string(f.total))
                : to_string(f.total) + " in flight";
        body += text(kLeft + total + 8, y + 15, words);
        y += 36;
    }
    return svg(kWidth, y, body, "communication by group");
}

}  // namespace

std::string exposure(const Result& r) {
    if (r.families.empty()) return {};
    return section(
        r.has_compute ? "Exposed communication" : "Communication",
        r.has_compute
            ? "Dark: no compute runs meanwhile. Pale: hidden behind compute. Thin grey: of "
              "the total, waiting for other members to arrive."
            : "The trace has no compute times, so nothing can be hidden or exposed. Thin "
              "grey: waiting for other members to arrive.",
        bars(r));
}

}  // namespace weft::tools::html
