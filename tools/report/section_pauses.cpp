// Pauses: which port was held when, where that goes back to, and who had no part in it.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "tools/report/axes.hpp"
#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;
constexpr double kLeft = 232;
constexpr double kRight = 170;
constexpr double kRow = 19;
// Okabe and Ito's palette.
constexpr std::array<const char*, 6> kColours{"#d55e00", "#0072b2", "#009e73",
                                              "#cc79a7", "#e69f00", "#56b4e9"};
constexpr const char* kOther = "#7b8794";

const char* colour_of(std::size_t root) {
    return root < kColours.size() ? kColours[root] : kOther;
}

/// Spans closer than a pixel are one block; how dark says which part of it was paused.
std::string row(const PausedPort& port, const PacketSummary& p, const TimeAxis& axis, double y) {
    std::string out;
    for (std::size_t i = 0; i < port.spans.size();) {
        const PausedPort::Span& first = port.spans[i];
        SimTime end = first.to;
        SimDuration paused = first.paused;
        std::uint64_t pauses = first.pauses;
        std::size_t next = i + 1;
        while (next < port.spans.size() && port.spans[next].root == first.root &&
               axis.x(port.spans[next].from) - axis.x(end) < 0.7 &&
               axis.x(port.spans[next].to) - axis.x(first.from) < 2.5) {
            end = port.spans[next].to;
            paused += port.spans[next].paused;
            pauses += port.spans[next].pauses;
            ++next;
        }
        const double share = std::clamp(ratio(paused, end - first.from), 0.2, 1.0);
        out += fmt::format("<g opacity=\"{:.2f}\">", share) +
               rect(axis.x(first.from), y, std::max(0.8, axis.x(end) - axis.x(first.from)),
                    kRow - 4, colour_of(first.root),
                    fmt::format("{} to {}: paused {} by {} pauses because of {}",
                                to_string(first.from - p.begin), to_string(end - p.begin),
                                to_string(paused), pauses, p.pause_roots[first.root])) +
               "</g>";
        i = next;
    }
    return out;
}

std::string picture(const PacketSummary& p) {
    const TimeAxis axis{kLeft, kWidth - kLeft - kRight, p.begin, p.end};
    const double bottom = 2 + kRow * static_cast<double>(p.paused_ports.size());
    std::string body = axis.ticks(2, bottom);
    double y = 2;
    for (const PausedPort& port : p.paused_ports) {
        body += text(kLeft - 8, y + 12, port.name, "end", "small");
        body += row(port, p, axis, y);
        std::string note = fmt::format("{}, {} pauses", to_string(port.paused), port.pauses);
        if (port.storms > 0) note += fmt::format(", {} storms", port.storms);
        body += text(kWidth - kRight + 8, y + 12, note, "start", "small");
        y += kRow;
    }
    return svg(kWidth, bottom + 20, body, "pauses over time");
}

std::string key(const PacketSummary& p) {
    std::string out = "<ul class=\"key\">";
    for (std::size_t root = 0; root < std::min(p.pause_roots.size(), kColours.size()); ++root)
        out += fmt::format("<li><i style=\"background:{}\"></i>because of {}</li>", colour_of(root),
                           escaped(p.pause_roots[root]));
    if (p.pause_roots.size() > kColours.size())
        out += fmt::format("<li><i style=\"background:{}\"></i>{} others</li>", kOther,
                           p.pause_roots.size() - kColours.size());
    return out + "</ul>";
}

std::string victims(const PacketSummary& p) {
    if (p.victims.empty()) return "<p>No flow waited behind a pause that it had no part in.</p>";
    std::string out = fmt::format(
        "<h3>Victims: {} of {} connections waited behind pauses whose root is not on their path, "
        "{} "
        "together</h3>"
        "<div class=\"scroll\"><table><thead><tr><th class=\"t\">flow</th><th>waited</th>"
        "<th class=\"t\">longest at</th><th class=\"t\">because of</th></tr></thead><tbody>",
        p.flows_held, p.connections, to_string(p.held));
    for (const PauseVictim& v : p.victims)
        out += fmt::format(
            "<tr><td class=\"t\"><code>{} &gt; {}</code></td><td>{}</td><td class=\"t\"><code>{}"
            "</code></td><td class=\"t\"><code>{}</code></td></tr>",
            escaped(v.from), escaped(v.to), to_string(v.waited), escaped(v.held_at),
            escaped(v.root));
    return out + "</tbody></table></div>";
}

}  // namespace

std::string packet_pauses(const PacketSummary& p) {
    if (p.paused_ports.empty()) return {};
    return section(
        "Pauses",
        fmt::format("The {} ports that were paused longest, of {}. The colour is the root of the "
                    "pause: the deepest queue behind it that was not paused itself; the paler, the "
                    "smaller the part of a block that was paused.",
                    p.paused_ports.size(), p.ports_paused),
        picture(p) + key(p) + victims(p));
}

std::string packets(const PacketSummary& p) {
    if (!p.used) return {};
    return packet_queues(p) + packet_completions(p) + packet_pauses(p);
}

}  // namespace weft::tools::html
