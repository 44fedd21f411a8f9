// docs/accuracy.md: summary, plots, every curve, misses and their causes, decisions, what was not
// simulated.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "tools/accuracy/accuracy.hpp"

namespace weft::tools {
namespace {

constexpr Model kModels[] = {Model::kWeft, Model::kLine, Model::kSteps, Model::kNccl};
constexpr double kMissMedian = 0.10;
constexpr double kMissWorst = 0.25;

constexpr const char* kHead = R"(# Accuracy

Written by `tools/dev accuracy` from `traces/measurements/data`; the causes under "Misses" are the
`why` of each case there. Do not edit by hand.

Every published curve and decision that is known with its hardware, beside what Weft says of it.
Curves marked *fit* are those that the shipped machine profiles were fitted to; *test* curves are
other machines or other scales, and only predicted. An error is (simulated - measured) / measured;
medians and 90 % are of its size. Counted are sizes from 64 KiB up; what is smaller stands apart.

Beside Weft: a straight line (time = a + b bytes) and the textbook's alpha-beta (a for every step of
a ring), both fitted to the same curves, one per machine profile, collective, and one host or
several; and NCCL's own tuning model. A model that does not beat a straight line is not a model.
Where one says nothing of a point (no curve of its kind to fit), the last column has Weft's median
on the points that it does speak of.
)";

std::string percent(double part) {
    return fmt::format("{:.1f} %", 100 * part);
}

std::string with_sign(double part) {
    return fmt::format("{:+.0f} %", 100 * part);
}

/// Text of others inside a table.
std::string cell(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`' || c == '[') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

bool counted(const ValidatedCase& c) {
    return c.problem.empty() && c.measured->use != Use::kSimulated;
}

Validation only(const ValidatedCase& c) {
    Validation v;
    v.cases.push_back(c);
    return v;
}

/// Only the points that a model says something of.
Validation said(const Validation& v, Model m) {
    Validation some = v;
    for (ValidatedCase& c : some.cases)
        std::erase_if(c.points, [&](const ValidatedPoint& p) { return !said_by(p, m); });
    return some;
}

struct SummaryRow {
    const char* name;
    std::optional<Collective> collective;
    Sizes sizes;
};

std::string summary(const Validation& v, Use use) {
    constexpr SummaryRow kRows[] = {{"all", {}, Sizes::kCounted},
                                    {"all-reduce", Collective::kAllReduce, Sizes::kCounted},
                                    {"all-gather", Collective::kAllGather, Sizes::kCounted},
                                    {"reduce-scatter", Collective::kReduceScatter, Sizes::kCounted},
                                    {"all-to-all", Collective::kAllToAll, Sizes::kCounted},
                                    {"broadcast", Collective::kBroadcast, Sizes::kCounted},
                                    {"send and receive", Collective::kSendRecv, Sizes::kCounted},
                                    {"all, below 64 KiB", {}, Sizes::kSmall}};
    std::string out = fmt::format("\n### The {} part\n\n", name_of(use));
    out +=
        "| collective | model | points | median | 90 % | worst | where | weft's median there |\n";
    out += "|---|---|--:|--:|--:|--:|---|--:|\n";
    for (const SummaryRow& row : kRows)
        for (const Model m : kModels) {
            const ErrorSummary s = summarise(v, m, use, row.collective, row.sizes);
            if (s.points == 0) continue;
            const ErrorSummary weft =
                summarise(said(v, m), Model::kWeft, use, row.collective, row.sizes);
            out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", row.name, name_of(m),
                               s.points, percent(s.median), percent(s.p90), with_sign(s.worst),
                               s.worst_at, percent(weft.median));
        }
    return out;
}

/// Measured times inside the bands, and all.
std::pair<std::size_t, std::size_t> held(const ValidatedCase& c) {
    std::size_t inside = 0;
    for (const ValidatedPoint& p : c.points)
        inside += p.low <= p.measured && p.measured <= p.high ? 1 : 0;
    return {inside, c.points.size()};
}

bool has_bands(const ValidatedCase& c) {
    return std::any_of(c.points.begin(), c.points.end(),
                       [](const ValidatedPoint& p) { return p.low < p.high; });
}

std::string bands(const Validation& v) {
    if (std::none_of(v.cases.begin(), v.cases.end(), has_bands)) return {};
    std::string out =
        "\n### Bands\n\nThe ranges of a profile's figures, and what nine in ten of the rows that "
        "it was "
        "fitted to lie within, give every simulated time a band, 5 to 95 %. Nine in ten of the "
        "measured times should lie inside; what the test part lacks to that is what machines and "
        "scales not fitted add.\n\n| part | points | inside |\n"
        "|---|--:|--:|\n";
    for (const Use use : {Use::kFit, Use::kTest}) {
        std::size_t inside = 0;
        std::size_t all = 0;
        for (const ValidatedCase& c : v.cases) {
            if (c.measured->use != use || !c.problem.empty()) continue;
            inside += held(c).first;
            all += held(c).second;
        }
        if (all > 0)
            out += fmt::format("| {} | {} | {:.0f} % |\n", name_of(use), all,
                               100 * static_cast<double>(inside) / static_cast<double>(all));
    }
    return out;
}

std::string setup_text(const MeasuredSetup& s) {
    std::string text = fmt::format("{} x {} {}", s.hosts, s.gpus_per_host, cell(s.host));
    if (s.hosts > 1) text += ", " + cell(s.network);
    if (s.segments > 1) text += fmt::format(", {} segments", s.segments);
    if (s.each_rail) text += ", each rail";
    if (s.graph) text += ", graph";
    return text;
}

std::string library_text(const MeasuredSetup& s) {
    std::string text = cell(s.library);
    if (!s.algorithm.empty()) text += ", " + cell(s.algorithm);
    return s.nvls ? text + ", NVLS" : text;
}

std::string median_text(const ErrorSummary& s) {
    return s.points == 0 ? "-" : percent(s.median);
}

std::string curve_row(const ValidatedCase& c) {
    const MeasuredCase& m = *c.measured;
    const Validation one = only(c);
    const ErrorSummary s = summarise(one, Model::kWeft, m.use);
    const ErrorSummary small = summarise(one, Model::kWeft, m.use, {}, Sizes::kSmall);
    const auto at = [](const ErrorSummary& e) {
        const std::size_t size = e.worst_at.rfind(" at ");
        return e.points == 0
                   ? std::string("-")
                   : with_sign(e.worst) + e.worst_at.substr(std::min(size, e.worst_at.size()));
    };
    std::string row =
        fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |", m.id, cell(m.machine),
                    setup_text(m), name_of(m.collective), library_text(m), c.points.size(),
                    median_text(s), at(s), median_text(small), at(small));
    for (const Model model : {Model::kLine, Model::kSteps, Model::kNccl})
        row += fmt::format(" {} |", median_text(summarise(one, model, m.use)));
    const std::string inside =
        has_bands(c) ? fmt::format("{} of {}", held(c).first, held(c).second) : "-";
    return row + fmt::format(" {} | {} |\n", inside, c.beyond);
}

std::string curves(const Validation& v, Use use) {
    std::string out =
        "\n| curve | machine | hosts | collective | library | rows | median | worst | below 64 "
        "KiB: "
        "median | worst | line | alpha-beta | NCCL | in band | not fitted |\n"
        "|---|---|---|---|---|--:|--:|---|--:|---|--:|--:|--:|--:|---|\n";
    bool any = false;
    for (const ValidatedCase& c : v.cases) {
        if (c.measured->use != use || !c.problem.empty()) continue;
        out += curve_row(c);
        any = true;
    }
    return any ? out : "\nNone.\n";
}

std::string why_text(const std::string& why) {
    return why.empty() ? "not explained" : cell(why);
}

std::string misses(const Validation& v) {
    std::vector<std::pair<double, const ValidatedCase*>> order;
    for (const ValidatedCase& c : v.cases) {
        if (!counted(c)) continue;
        const ErrorSummary s = summarise(only(c), Model::kWeft, c.measured->use, {}, Sizes::kAll);
        if (s.median > kMissMedian || std::abs(s.worst) > kMissWorst)
            order.emplace_back(-s.median, &c);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string out = fmt::format(
        "\n## Misses\n\nCurves whose median error is above {:.0f} % or whose worst row is above "
        "{:.0f} %, over all sizes, the largest median first.\n\n| curve | part | median | worst | "
        "cause |\n|---|---|--:|---|---|\n",
        100 * kMissMedian, 100 * kMissWorst);
    for (const auto& [minus, c] : order) {
        const ErrorSummary s = summarise(only(*c), Model::kWeft, c->measured->use, {}, Sizes::kAll);
        out += fmt::format("| {} | {} | {} | {}{} | {} |\n", c->measured->id,
                           name_of(c->measured->use), percent(s.median), with_sign(s.worst),
                           s.worst_at.substr(s.worst_at.rfind(" at ")), why_text(c->measured->why));
    }
    return order.empty() ? out + "\nNone.\n" : out;
}

std::string published(const Decision& d) {
    if (d.faster == Decision::kEqual) return "equal";
    std::string text = cell(d.faster == Decision::kA ? d.a.what : d.b.what);
    if (d.ratio_low > 0)
        text += d.ratio_low == d.ratio_high
                    ? fmt::format(", {:.2f} times", d.ratio_low)
                    : fmt::format(", {:.2f} to {:.2f} times", d.ratio_low, d.ratio_high);
    return text;
}

std::string simulated(const ValidatedDecision& d) {
    const double a = static_cast<double>(d.a.ps());
    const double b = static_cast<double>(d.b.ps());
    if (a <= 0 || b <= 0 || d.a == d.b) return "equal";
    return fmt::format("{}, {:.2f} times", cell(a < b ? d.decision->a.what : d.decision->b.what),
                       std::max(a, b) / std::min(a, b));
}

std::string decisions(const Validation& v) {
    std::size_t right = 0;
    std::size_t run = 0;
    std::string rows;
    for (const ValidatedDecision& d : v.decisions) {
        if (!d.problem.empty()) continue;
        ++run;
        right += d.right ? 1 : 0;
        rows += fmt::format("| {} | {} | {} | {} | {} | {} |\n", d.decision->id,
                            cell(d.decision->title), published(*d.decision), simulated(d),
                            d.right ? "right" : "**wrong**",
                            d.right ? std::string() : why_text(d.decision->why));
    }
    return fmt::format(
               "\n## Decisions\n\nPublished \"A was faster than B\": {} of {} called right. Equal "
               "means within 5 %.\n\n| decision | what | published: faster | simulated: faster | | "
               "cause |\n|---|---|---|---|---|---|\n",
               right, run) +
           rows;
}

std::string not_simulated(const Validation& v) {
    std::string rows;
    for (const ValidatedCase& c : v.cases)
        if (!c.problem.empty())
            rows += fmt::format("| {} | {} | {} |\n", c.measured->id, cell(c.measured->title),
                                cell(c.problem));
    for (const ValidatedDecision& d : v.decisions)
        if (!d.problem.empty())
            rows += fmt::format("| {} | {} | {} |\n", d.decision->id, cell(d.decision->title),
                                cell(d.problem));
    std::string out = "\n## Not simulated\n\n";
    if (rows.empty()) return out + "Nothing.\n";
    return out + "| case | what | because |\n|---|---|---|\n" + rows;
}

std::string sources(const Validation& v) {
    std::string out = "\n## Sources\n\n| curve | source | read in | assumed |\n|---|---|---|---|\n";
    for (const ValidatedCase& c : v.cases)
        out += fmt::format("| {} | {} | {} | {} |\n", c.measured->id, cell(c.measured->source),
                           c.measured->tag,
                           cell(fmt::format("{}", fmt::join(c.measured->notes, "; "))));
    return out + "\nS: read in the source; S2: in a summary of it; D: derived from it.\n";
}

}  // namespace

std::string accuracy_page(const Validation& v, const std::vector<Drawing>& plots) {
    std::string out = kHead;
    out += "\n## Summary\n" + summary(v, Use::kTest) + summary(v, Use::kFit) + bands(v);
    out +=
        "\n## Plots\n\nDashed and pale: fit. Shaded: within 10 %. The scatter's grey lines are "
        "half and twice the measured time.\n";
    for (const auto& [name, text] : plots) out += fmt::format("\n![{0}](accuracy/{0}.svg)\n", name);
    out += "\n## Every curve\n\nTested:\n" + curves(v, Use::kTest);
    out += "\nFitted:\n" + curves(v, Use::kFit);
    out += "\nAnother simulator's numbers, counted nowhere:\n" + curves(v, Use::kSimulated);
    out += misses(v) + decisions(v) + not_simulated(v) + sources(v);
    return out;
}

}  // namespace weft::tools
