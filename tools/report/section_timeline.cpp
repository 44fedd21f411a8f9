// The step as it ran: a band of rows per rank, a row per queue; and a piece of it enlarged. Spans
// closer than a pixel are drawn as one, so that the page stays small whatever the trace.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;
constexpr double kLeft = 146;
constexpr double kRow = 13;
constexpr std::size_t kMaxRanks = 16;

struct Window {
    std::int64_t begin = 0;
    std::int64_t end = 1;
    [[nodiscard]] double x(std::int64_t t) const {
        const double share = static_cast<double>(t - begin) / static_cast<double>(end - begin);
        return kLeft + (kWidth - kLeft) * std::clamp(share, 0.0, 1.0);
    }
};

using Track = std::vector<const Span*>;
/// By rank, then compute before the queues of communication.
using Tracks = std::map<std::pair<std::uint32_t, std::string>, Track>;

Tracks tracks_of(const Result& r) {
    Tracks tracks;
    for (const Span& s : r.timeline)
        tracks[{s.rank.value(), s.track == "compute" ? " compute" : s.track}].push_back(&s);
    for (auto& [key, track] : tracks)
        std::stable_sort(track.begin(), track.end(),
                         [](const Span* a, const Span* b) { return a->start < b->start; });
    return tracks;
}

std::string name_of(const std::string& key) {
    return key.front() == ' ' ? key.substr(1) : key;
}

/// One row; neighbours closer than a pixel become one block.
std::string row(const Track& track, const Window& w, double y, double h, bool labelled) {
    std::string out;
    for (std::size_t i = 0; i < track.size();) {
        const Span& first = *track[i];
        std::int64_t end = first.end.ps();
        std::size_t n = 1;
        if (end < w.begin || first.start.ps() > w.end) {
            ++i;
            continue;
        }
        while (i + n < track.size() && track[i + n]->start.ps() <= w.end &&
               w.x(track[i + n]->start.ps()) - w.x(end) < 0.7 &&
               (w.x(track[i + n]->end.ps()) - w.x(first.start.ps()) < 2.5)) {
            end = std::max(end, track[i + n]->end.ps());
            ++n;
        }
        const double x = w.x(first.start.ps());
        const double width = std::max(w.x(end) - x - (labelled ? 0.6 : 0.0), 0.5);
        std::string tip = first.label + ", " + first.track;
        if (n > 1) tip += fmt::format(", and {} more", n - 1);
        tip += fmt::format(": {} to {} ({})", to_string(SimDuration{first.start.ps()}),
                           to_string(SimDuration{end}),
                           to_string(SimDuration{end - first.start.ps()}));
        if (n == 1 && first.start > first.ready)
            tip += ", waited " + to_string(first.start - first.ready);
        out += rect(x, y, width, h, colour_of(first.track), tip);
        if (labelled && n == 1 && width > 6.2 * static_cast<double>(first.label.size()))
            out += text(x + width / 2, y + h - 4, first.label, "middle", "onDark");
        i += n;
    }
    return out;
}

std::string axis(const Window& w, double height) {
    std::string out;
    for (int i = 0; i <= 8; ++i) {
        const std::int64_t t = w.begin + (w.end - w.begin) / 8 * i;
        const double x = w.x(t);
        out += fmt::format(R"(<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:.0f}"/>)",
                           x, height);
        const char* anchor = i == 8 ? "end" : i == 0 ? "start" : "middle";
        out += text(x, height + 13, to_string(SimDuration{t}), anchor, "soft");
    }
    return out;
}

std::string draw(const Tracks& tracks, const Window& w, std::uint32_t only, double row_height,
                 bool labelled) {
    std::string body;
    double y = 2;
    std::uint32_t last = ~0U;
    std::size_t ranks = 0;
    for (const auto& [key, track] : tracks) {
        if (only != ~0U && key.first != only) continue;
        if (key.first != last) {
            if (++ranks > kMaxRanks) break;
            if (last != ~0U) y += 7;
            body += text(0, y + row_height - 3, fmt::format("rank {}", key.first));
            last = key.first;
        }
        body += text(kLeft - 8, y + row_height - 3, name_of(key.second), "end", "soft");
        body += row(track, w, y, row_height - 2, labelled);
        y += row_height;
    }
    return svg(kWidth, y + 18, axis(w, y) + body, "timeline");
}

/// Around the middle of the step, as wide as about `spans` spans of the busiest row of the rank.
Window enlarged(const Tracks& tracks, std::uint32_t rank, std::size_t spans) {
    const Track* most = nullptr;
    for (const auto& [key, track] : tracks)
        if (key.first == rank && (most == nullptr || track.size() > most->size())) most = &track;
    if (most == nullptr || most->size() < 3 * spans) return {};
    const std::size_t from = most->size() / 2 - spans / 2;
    return {(*most)[from]->start.ps(), (*most)[from + spans]->start.ps()};
}

}  // namespace

std::string timeline(const Result& r) {
    if (r.timeline.empty() || r.step_time.ps() <= 0) return {};
    const Tracks tracks = tracks_of(r);
    std::string body = draw(tracks, {0, r.step_time.ps()}, ~0U, kRow, false);
    const std::uint32_t rank =
        r.slowest_rank.valid() && tracks.lower_bound({r.slowest_rank.value(), ""}) != tracks.end()
            ? r.slowest_rank.value()
            : tracks.begin()->first.first;
    const Window w = enlarged(tracks, rank, 16);
    if (w.end > w.begin + 1)
        body += fmt::format("<h3>Enlarged: rank {}, {} from the middle of the step</h3>", rank,
                            to_string(SimDuration{w.end - w.begin})) +
                draw(tracks, w, rank, 22, true);
    return section(
        "Timeline",
        "One band a rank (the slowest, and one of each program), one row a queue; point at "
        "a block for its name. timeline.json holds every span: open it in Perfetto.",
        body);
}

}  // namespace weft::tools::html
