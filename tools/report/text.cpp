// The first screen.
#include <algorithm>
#include <fmt/format.h>

#include "tools/report/report.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools {
namespace {

std::string percent(double share) {
    return fmt::format("{:5.1f} %", 100 * share);
}

void add_step(std::string& out, const Result& r) {
    out += fmt::format("step time   {}   (rank {}, the slowest", with_bands(r.step_time, r.bands),
                       r.slowest_rank.valid() ? std::to_string(r.slowest_rank.value()) : "-");
    if (!r.lower_bound_by.empty())
        out += fmt::format("; no step beats {}, {}", to_string(r.lower_bound), r.lower_bound_by);
    out += ")\n" + bands_text(r);
    if (!r.has_compute) out += "compute: none in the trace, so no exposure is reported\n";
    for (const Share& s : shares_of(r))
        out += fmt::format("  {:<16} {:>12}   {}\n", s.name, to_string(s.time), percent(s.of_step));
    if (r.compute_slowed > SimDuration{0})
        out += fmt::format("  compute slowed by communication: {}, {} of the step\n",
                           to_string(r.compute_slowed),
                           fmt::format("{:.1f} %", 100 * ratio(r.compute_slowed, r.step_time)));
    out += seeds_text(r);
}

/// The ranks that wait least and most in collectives; nothing where none waits.
std::string waits_text(const Result& r) {
    if (r.rank_splits.empty() || r.rank_splits.back().waiting == SimDuration{}) return {};
    std::string out = "\ncollectives of a rank     waiting  transferring\n";
    const auto row = [&](const char* which, const RankSplit& s) {
        const std::string who =
            s.alike == 1 ? fmt::format("rank {}", s.rank.value())
                         : fmt::format("rank {} and {} alike", s.rank.value(), s.alike - 1);
        out += fmt::format("  {:<19} {:>12} {:>13}   {}\n", which, to_string(s.waiting),
                           to_string(s.transferring), who);
    };
    row("waits least", r.rank_splits.front());
    if (r.rank_splits.size() > 1) row("waits most", r.rank_splits.back());
    return out;
}

void add_families(std::string& out, const Result& r) {
    if (r.families.empty()) return;
    out += fmt::format("\n{:<14} {:>12} {:>12} {:>12} {:>13}\n", "communication", "total",
                       "exposed", "waiting", "transferring");
    for (const FamilyTime& f : r.families)
        out += fmt::format("  {:<12} {:>12} {:>12} {:>12} {:>13}\n", f.family, to_string(f.total),
                           r.has_compute ? to_string(f.exposed) : "-", to_string(f.waiting),
                           to_string(f.transferring));
    out +=
        r.has_compute
            ? "  (exposed: while the rank computes nothing; waiting: for other members to arrive; "
              "bubble: neither)\n"
            : "  (waiting: for other members to arrive)\n";
    out += waits_text(r);
}

void add_collectives(std::string& out, const Result& r) {
    if (r.collectives.empty()) return;
    out += fmt::format("\n{:<9}{:<15}{:<20}{:>6}{:>12}{:>11}{:>13}{:>12}\n", "group", "collective",
                       "algorithm", "ranks", "size", "count", "mean time", "busbw GB/s");
    for (const CollectiveSummary& c : r.collectives)
        out += fmt::format("  {:<7}{:<15}{:<20}{:>6}{:>12}{:>11}{:>13}{:>12.1f}\n", c.family,
                           c.kind, c.algorithm, c.group_size, to_string(c.size), c.count,
                           to_string(c.mean_time), c.busbw_gbytes_per_s);
}

}  // namespace

std::string bands_text(const Result& r) {
    constexpr std::size_t kParts = 3;
    std::string out;
    for (const Band& b : r.bands) {
        std::vector<std::string> widest;
        for (std::size_t i = 0; i < std::min(b.parts.size(), kParts); ++i)
            widest.push_back(fmt::format("{} (-{}, +{})", b.parts[i].name,
                                         to_string(b.parts[i].below), to_string(b.parts[i].above)));
        if (!widest.empty())
            out +=
                fmt::format("band: 5 to 95 % by {}; widest: {}\n", b.by, fmt::join(widest, ", "));
    }
    return out;
}

std::string seeds_text(const Result& r) {
    if (r.seeds.empty()) return {};
    std::string out = fmt::format("\n{:<14} {:>12} {:>15} {:>12} {:>13} {:>10}\n",
                                  fmt::format("{} seeds", r.seeds.size()), "step time",
                                  "in collectives", "waiting", "transferring", "seed");
    const auto row = [&](const char* name, unsigned percent) {
        const SeedRun& s = percentile(r.seeds, percent);
        out += fmt::format("  {:<12} {:>12} {:>15} {:>12} {:>13} {:>10}\n", name,
                           to_string(s.step_time), to_string(s.typical.in_collectives),
                           to_string(s.typical.waiting), to_string(s.typical.transferring), s.seed);
    };
    row("min", 0);
    row("p50", 50);
    row("p90", 90);
    row("p99", 99);
    row("max", 100);
    return out +
           "  (of the rank that waits a median time: waiting + transferring = in collectives; all "
           "else is of the run p50)\n";
}

std::string links_text(const Result& r) {
    if (r.busiest_distinct.empty()) return {};
    std::string out = fmt::format("{:<44}{:<10}{:>8}{:>12}{:>9}{:>12}\n",
                                  "busiest links, one row for all equal ones", "kind", "links",
                                  "carried", "used", "busy");
    for (const LinkUse& l : r.busiest_distinct)
        out += fmt::format("  {:<42}{:<10}{:>8}{:>12}  {}{:>12}\n", l.name, l.kind, l.alike,
                           to_string(l.carried), percent(l.utilisation), to_string(l.busy));
    return out;
}

std::string text_report(const Report& report) {
    const Result& r = *report.result;
    std::string out = report.trust + "\n\n" + report.title + "\n" + report.subtitle + "\n\n";
    add_step(out, r);
    add_families(out, r);
    add_collectives(out, r);
    if (!r.busiest_distinct.empty()) out += "\n" + links_text(r);
    if (r.packets.used) out += "\n" + packets_text(r.packets) + "\n";
    out += "\nlimit: " + limit_of(r) + "\n";
    constexpr std::size_t kWarnings = 3;
    for (std::size_t i = 0; i < std::min(r.warnings.size(), kWarnings); ++i)
        out += "warning: " + r.warnings[i] + "\n";
    if (r.warnings.size() > kWarnings)
        out += fmt::format("{} more warnings are in the report\n", r.warnings.size() - kWarnings);
    return out;
}

}  // namespace weft::tools
