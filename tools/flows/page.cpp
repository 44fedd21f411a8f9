// The page of a run of flows.
#include <algorithm>
#include <fmt/format.h>

#include "tools/flows/print.hpp"
#include "tools/report/html.hpp"

namespace weft::tools {
namespace {

using html::escaped;
using packet::FlowGroup;

std::string number(const std::string& value, const std::string& what) {
    return "<div><b>" + escaped(value) + "</b><span>" + escaped(what) + "</span></div>";
}

std::string headline(const FlowReport& r) {
    const PacketSummary& p = r.packets;
    std::size_t finished = 0;
    std::int64_t longest = 0, slowest = 0;
    for (const FlowGroup& g : r.groups) {
        finished += g.finished;
        longest = std::max(longest, g.completion_ps.max);
        slowest = std::max(slowest, g.slowdown_milli.max);
    }
    std::string out = "<div class=\"big\">";
    out += number(fmt::format("{} of {}", finished, r.set->flows.size()), "flows finished");
    out += number(to_string(ps(longest)), "the longest completion");
    out += number(ratio_text(slowest), "the largest slowdown");
    out += number(to_string(p.deepest), "the deepest queue");
    out += number(to_string(r.fullest_switch), "the fullest switch held");
    out += number(fmt::to_string(p.pauses), "pauses");
    out += number(fmt::to_string(p.flows_held), "victims of pauses");
    out += number(fmt::to_string(p.dropped + p.trimmed), "packets lost or cut");
    out += "</div>";
    if (p.deepest > Bytes{})
        out += "<p class=\"limit\"><b>Where packets pile up:</b> " +
               escaped(fmt::format("{} at {}", to_string(p.deepest), p.deepest_link)) + "</p>";
    return html::section("The run", "A flow completes when its sender knows that all has arrived.",
                         out);
}

std::string notes(const FlowReport& r) {
    std::string out = "<ul class=\"notes\">";
    for (const std::string& note : r.set->notes) out += "<li>" + escaped(note) + "</li>";
    for (const std::string& a : r.fabric->assumptions()) out += "<li>" + escaped(a) + "</li>";
    return html::section("What this rests on", "Every assumption of this run.", out + "</ul>");
}

}  // namespace

std::string flows_page(const FlowReport& r) {
    const packet::PacketOptions& o = r.options;
    const std::string subtitle =
        fmt::format("{} flows between {} hosts; {}, spread by {}, {}, {} when full, seed {}",
                    r.set->flows.size(), r.fabric->gpus().size(), o.congestion, name_of(o.spread),
                    name_of(o.recovery), name_of(o.overflow), o.seed);
    return html::page(fmt::format("{} on {}", r.input, r.fabric->name()), subtitle, {}, false,
                      headline(r) + html::packets(r.packets) + notes(r));
}

}  // namespace weft::tools
