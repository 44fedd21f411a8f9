// Ports over time: queues by tier and plane, the deepest ports, how much of the links was used, and
// what happened in between. A cell is a sample; equal neighbours are one block.
#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <tuple>

#include "tools/report/axes.hpp"
#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;
constexpr double kLeft = 208;
constexpr double kRight = 262;
constexpr double kRow = 21;
constexpr std::size_t kLong = 28;  // letters of a label
constexpr int kSteps = 10;         // of colour
constexpr std::size_t kPorts = 8;  // single ones
constexpr const char* kPaused = "#d55e00";

struct Row {
    std::string label;
    std::string note;                             // at the right
    std::vector<double> shade;                    // 0..1, by sample
    std::vector<double> paused;                   // share of the time, by sample
    std::function<std::string(std::size_t)> tip;  // of a sample
};

SimTime begin_of(const PacketSummary& p, std::size_t sample) {
    return std::min(p.end, p.begin + static_cast<std::int64_t>(sample) * p.sample);
}

std::string place_of(const QueueSeries& q) {
    std::string from = "ToR", to = "aggregation";
    if (q.kind == "access") from = "NIC", to = "ToR";
    if (q.kind == "pcie") from = "GPU", to = "NIC";
    if (q.kind == "scale-up") from = "GPU", to = "scale-up switch";
    if (q.kind == "fabric" && q.tier != 2) from = "aggregation", to = "core";
    if (!q.up) std::swap(from, to);
    return from + " > " + to + (q.plane < 0 ? "" : fmt::format(", plane {}", q.plane));
}

/// From the core down to the GPUs, up before down.
std::vector<const QueueSeries*> downwards(const std::vector<QueueSeries>& groups) {
    std::vector<const QueueSeries*> order;
    for (const QueueSeries& q : groups) order.push_back(&q);
    const auto key = [](const QueueSeries* q) {
        const int kind = q->kind == "fabric"   ? 0
                         : q->kind == "access" ? 1
                         : q->kind == "pcie"   ? 2
                                               : 3;
        return std::tuple(kind, -q->tier, !q->up, q->plane);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](const QueueSeries* a, const QueueSeries* b) { return key(a) < key(b); });
    return order;
}

/// A step of colour a doubling: 1 is the deepest of all.
double doubling_shade(Bytes queued, Bytes deepest) {
    if (queued == Bytes{}) return 0;
    int halvings = 0;
    for (std::int64_t d = deepest.count(); d / 2 >= queued.count() && halvings < kSteps - 2; d /= 2)
        ++halvings;
    return (static_cast<double>(kSteps - 1 - halvings) + 0.5) / kSteps;
}

std::vector<double> paused_shares(const PacketSummary& p, const QueueSeries& q) {
    std::vector<double> shares;
    for (std::size_t i = 0; i < q.samples.size(); ++i)
        shares.push_back(ratio(q.samples[i].paused, begin_of(p, i + 1) - begin_of(p, i)) / q.ports);
    return shares;
}

std::string blocks(const Row& row, const PacketSummary& p, const TimeAxis& axis, double y) {
    std::string out;
    for (std::size_t i = 0; i < row.shade.size();) {
        std::size_t end = i + 1;
        while (end < row.shade.size() && heat(row.shade[end]) == heat(row.shade[i])) ++end;
        const double x = axis.x(begin_of(p, i));
        if (row.shade[i] > 0)
            out += rect(x, y, axis.x(begin_of(p, end)) - x, kRow - 3, heat(row.shade[i]),
                        to_string(begin_of(p, i) - p.begin) + ": " + row.tip(i));
        i = end;
    }
    for (std::size_t i = 0; i < row.paused.size(); ++i)
        if (row.paused[i] > 0) {
            const double h = std::clamp(7 * row.paused[i], 1.0, 7.0);
            const double x = axis.x(begin_of(p, i));
            out += rect(x, y + kRow - 3 - h, std::max(0.6, axis.x(begin_of(p, i + 1)) - x), h,
                        kPaused);
        }
    return out;
}

std::string picture(const std::vector<Row>& rows, const PacketSummary& p, const std::string& what,
                    const std::string& scale, double scale_height) {
    const TimeAxis axis{kLeft, kWidth - kLeft - kRight, p.begin, p.end};
    const double bottom = 2 + kRow * static_cast<double>(rows.size());
    std::string body;
    double y = 2;
    for (const Row& row : rows) {
        body +=
            text(kLeft - 8, y + 13, row.label, "end", row.label.size() > kLong ? "small" : "label");
        body += rect(kLeft, y, kWidth - kLeft - kRight, kRow - 3, "#f5f7fa");
        y += kRow;
    }
    body += axis.ticks(2, bottom);
    y = 2;
    for (const Row& row : rows) {
        body += blocks(row, p, axis, y);
        body += text(kWidth - kRight + 8, y + 13, row.note, "start", "small");
        y += kRow;
    }
    if (!scale.empty())
        body += fmt::format("<g transform=\"translate(0 {:.0f})\">", bottom + 20) + scale + "</g>";
    return svg(kWidth, bottom + 20 + scale_height, body, what);
}

Row queue_row(const PacketSummary& p, const QueueSeries& q, Bytes deepest, std::string label) {
    Row row{.label = std::move(label),
            .note = q.worst == "" ? "" : to_string(q.most_queued) + " at " + q.worst,
            .shade = {},
            .paused = paused_shares(p, q),
            .tip = [&q](std::size_t i) {
                const QueueSample& s = q.samples[i];
                return fmt::format("deepest {}, mean {}; {} marked, {} lost",
                                   to_string(s.most_queued), to_string(s.mean_queued), s.marked,
                                   s.lost);
            }};
    for (const QueueSample& s : q.samples)
        row.shade.push_back(doubling_shade(s.most_queued, deepest));
    return row;
}

std::string queue_scale(Bytes deepest) {
    std::string out = text(kLeft, 11, "deepest queue", "start", "soft");
    constexpr double kCell = 40;
    for (int i = 1; i < kSteps; ++i) {
        const double x = kLeft + 84 + kCell * (i - 1);
        out += rect(x, 0, kCell, 14, heat((i + 0.5) / kSteps));
        if (i % 2 == 1)
            out += text(x + kCell, 27, to_string(Bytes{deepest.count() >> (kSteps - 1 - i)}), "end",
                        "soft");
    }
    const double x = kLeft + 84 + kCell * kSteps;
    out += rect(x, 4, 30, 7, kPaused);
    return out + text(x + 36, 11, "share of the ports' time that is paused", "start", "soft");
}

Row used_row(const PacketSummary& p, const QueueSeries& q) {
    const auto used = [&p, &q](std::size_t i) {
        const double seconds =
            static_cast<double>((begin_of(p, i + 1) - begin_of(p, i)).ps()) * 1e-12;
        const double most = static_cast<double>(q.rate.bits_per_second()) * seconds / 8;
        return most > 0 ? static_cast<double>(q.samples[i].sent.count()) / most : 0.0;
    };
    Row row{
        .label = place_of(q), .note = {}, .shade = {}, .paused = {}, .tip = [used](std::size_t i) {
            return percent(used(i)) + " used";
        }};
    double sent = 0;
    for (std::size_t i = 0; i < q.samples.size(); ++i) {
        row.shade.push_back(used(i));
        sent += static_cast<double>(q.samples[i].sent.count());
    }
    const double most = static_cast<double>(q.rate.bits_per_second()) *
                        static_cast<double>((p.end - p.begin).ps()) * 1e-12 / 8;
    row.note =
        fmt::format("mean {} of {} ports in use", percent(most > 0 ? sent / most : 0), q.ports);
    return row;
}

std::string used_scale() {
    std::string out = text(kLeft, 11, "used", "start", "soft");
    for (int i = 0; i < kSteps; ++i)
        out += rect(kLeft + 84 + 26 * i, 0, 26, 14, heat(0.1 * i + 0.01));
    out += text(kLeft + 84, 27, "0", "start", "soft");
    return out + text(kLeft + 344, 27, "100 %", "end", "soft");
}

/// All ports together; nothing where it never happened.
void add_events(const PacketSummary& p, const char* what, std::uint64_t QueueSample::*count,
                std::vector<Row>& rows) {
    std::vector<std::uint64_t> sums;
    for (const QueueSeries& q : p.groups)
        for (std::size_t i = 0; i < q.samples.size(); ++i) {
            if (sums.size() <= i) sums.resize(i + 1);
            sums[i] += q.samples[i].*count;
        }
    std::uint64_t most = 0, all = 0;
    for (const std::uint64_t n : sums) {
        most = std::max(most, n);
        all += n;
    }
    if (all == 0) return;
    Row row{.label = what,
            .note = fmt::format("{} in all, at most {} in {}", all, most, to_string(p.sample)),
            .shade = {},
            .paused = {},
            .tip = [sums](std::size_t i) { return std::to_string(sums[i]); }};
    for (const std::uint64_t n : sums)
        row.shade.push_back(n == 0 ? 0
                                   : std::min(0.99, 0.1 + 0.9 * static_cast<double>(n) /
                                                              static_cast<double>(most)));
    rows.push_back(std::move(row));
}

}  // namespace

std::string packet_queues(const PacketSummary& p) {
    if (p.groups.empty() || p.end <= p.begin) return {};
    std::vector<Row> tiers, ports, used;
    for (const QueueSeries* q : downwards(p.groups)) {
        if (q->most_queued > Bytes{}) tiers.push_back(queue_row(p, *q, p.deepest, place_of(*q)));
        used.push_back(used_row(p, *q));
    }
    for (const QueueSeries& q : p.deepest_ports) {
        if (ports.size() == kPorts) break;
        ports.push_back(queue_row(p, q, p.deepest, q.worst));
        ports.back().note = fmt::format("{}, {}", to_string(q.most_queued), place_of(q));
    }
    std::vector<Row> events;
    add_events(p, "packets marked", &QueueSample::marked, events);
    add_events(p, "packets lost", &QueueSample::lost, events);
    add_events(p, "pauses", &QueueSample::pauses, events);
    std::string body;
    if (!tiers.empty())
        body += "<h3>Queues by tier and plane: the deepest of all ports of a row</h3>" +
                picture(tiers, p, "queues by tier and plane over time", queue_scale(p.deepest), 30);
    if (!ports.empty())
        body += "<h3>The ports whose queues were deepest</h3>" +
                picture(ports, p, "queues of the deepest ports over time", {}, 0);
    body += "<h3>How much was used of the links that carried anything, all bytes counted</h3>" +
            picture(used, p, "utilisation over time", used_scale(), 30);
    if (!events.empty())
        body += "<h3>What happened meanwhile, at all ports together</h3>" +
                picture(events, p, "marks, losses and pauses over time", {}, 0);
    std::string how = fmt::format(
        "One row a kind of port, from the core down; a cell is a sample of {}. A dark row is where "
        "packets pile up; what waits before it, paused, is orange.",
        to_string(p.sample));
    if (p.begin > SimTime{})
        how += " Time 0 is the first packet, at " + to_string(p.begin - SimTime{}) + ".";
    return section("Queues over time", how, body);
}

}  // namespace weft::tools::html
