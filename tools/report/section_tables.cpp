// The tables: busiest links, and bus bandwidth of each collective.
#include <algorithm>
#include <fmt/format.h>

#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

std::string bar_cell(double share, const std::string& colour) {
    return fmt::format(
        "<td class=\"bar\"><div><i style=\"width:{:.1f}%;background:{}\"></i></div></td>",
        100 * std::clamp(share, 0.0, 1.0), colour);
}

std::string head(std::initializer_list<const char*> left,
                 std::initializer_list<const char*> right) {
    std::string out = "<div class=\"scroll\"><table><thead><tr>";
    for (const char* h : left) out += fmt::format("<th class=\"t\">{}</th>", h);
    for (const char* h : right) out += fmt::format("<th>{}</th>", h);
    return out + "</tr></thead><tbody>";
}

}  // namespace

std::string links(const Result& r) {
    if (r.busiest_distinct.empty()) return {};
    std::string out =
        head({"link", "kind", "rail", "plane"}, {"links", "carried", "busy", "used", ""});
    for (const LinkUse& l : r.busiest_distinct)
        out += fmt::format(
            "<tr><td class=\"t\"><code>{}</code></td><td class=\"t\">{}</td>"
            "<td class=\"t\">{}</td><td class=\"t\">{}</td>"
            "<td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
            escaped(l.name), escaped(l.kind), l.rail < 0 ? "-" : fmt::to_string(l.rail),
            l.plane < 0 ? "-" : fmt::to_string(l.plane), l.alike, to_string(l.carried),
            to_string(l.busy), percent(l.utilisation), bar_cell(l.utilisation, heat(0.65)));
    return section("Busiest links",
                   "One row for all links of equal kind, direction and load; the first is named. "
                   "Used: bytes carried over what the link could carry in the step.",
                   out + "</tbody></table></div>");
}

std::string collectives(const Result& r) {
    if (r.collectives.empty()) return {};
    double most = 1e-9;
    for (const CollectiveSummary& c : r.collectives) most = std::max(most, c.busbw_gbytes_per_s);
    std::string out = head({"group", "collective", "algorithm"},
                           {"ranks", "size", "count", "waiting", "mean time", "min", "max",
                            "algbw GB/s", "busbw GB/s", ""});
    for (const CollectiveSummary& c : r.collectives)
        out += fmt::format(
            "<tr><td class=\"t\"><span class=\"dot\" style=\"background:{}\"></span>{}</td>"
            "<td class=\"t\">{}</td><td class=\"t\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
            "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1f}</td><td>{:.1f}</td>{}</tr>",
            colour_of(c.family), escaped(c.family), escaped(c.kind), escaped(c.algorithm),
            c.group_size, to_string(c.size), c.count, to_string(c.mean_waiting),
            to_string(c.mean_time), to_string(c.min_time), to_string(c.max_time),
            c.algbw_gbytes_per_s, c.busbw_gbytes_per_s,
            bar_cell(c.busbw_gbytes_per_s / most, colour_of(c.family)));
    return section(
        "Bus bandwidth by collective",
        "Sizes, algbw and busbw as nccl-tests counts them; the count is over all groups of "
        "the world; waiting is a member's mean until the last has arrived, times run from there.",
        out + "</tbody></table></div>");
}

std::string rank_splits(const Result& r) {
    if (r.rank_splits.empty() || r.rank_splits.back().waiting == SimDuration{}) return {};
    std::string out = head({"rank"}, {"ranks", "in collectives", "waiting", "transferring", ""});
    for (const RankSplit& s : r.rank_splits)
        out += fmt::format(
            "<tr><td class=\"t\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
            s.rank.value(), s.alike, to_string(s.in_collectives), to_string(s.waiting),
            to_string(s.transferring),
            bar_cell(ratio(s.waiting, s.in_collectives), colour_of("compute")));
    return section("Waiting for others",
                   "A rank's collectives, each by itself: waiting for the last member, then "
                   "transferring; the two add up. The bar is waiting's part. Ranks that wait least "
                   "are those that the others wait for; of many, both ends are listed.",
                   out + "</tbody></table></div>");
}

}  // namespace weft::tools::html
