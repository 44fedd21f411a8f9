// What the numbers rest on: trust, warnings, assumptions, the resolved scenario.
#include <fmt/format.h>

#include "tools/report/html.hpp"

namespace weft::tools::html {
namespace {

std::string list(const std::vector<std::string>& items, const char* css) {
    std::string out = fmt::format("<ul class=\"{}\">", css);
    for (const std::string& i : items) out += "<li>" + escaped(i) + "</li>";
    return out + "</ul>";
}

std::string joined(const std::string& what, const std::vector<std::string>& items) {
    return items.empty() ? "" : fmt::format(" {}: {}.", what, fmt::join(items, "; "));
}

/// What was measured, beside what was simulated of it.
std::string parts(const Trust& t) {
    if (t.verdict == Trust::Verdict::kNothingMeasured) return {};
    std::string out =
        "<h3>The measured job, simulated on " + escaped(t.on) + "</h3><p>" +
        escaped("Measured by " + t.measured_by + "." + joined("Not measured", t.silent) +
                joined("Measured but not in the workload", t.unmatched)) +
        "</p><div class=\"scroll\"><table><thead><tr><th class=\"t\">part</th><th>measured</th>"
        "<th>simulated</th></tr></thead><tbody>";
    const auto row = [](const std::string& name, SimDuration measured, SimDuration simulated) {
        return fmt::format("<tr><td class=\"t\">{}</td><td>{}</td><td>{}</td></tr>", escaped(name),
                           to_string(measured), to_string(simulated));
    };
    if (t.step_measured) out += row("step", t.step, t.simulated_step);
    for (const TrustPart& p : t.parts) out += row(p.name, p.measured, p.simulated);
    return out + "</tbody></table></div>";
}

/// What each figure's range does to the step time.
std::string band_parts(const Band& b) {
    if (b.parts.empty()) return {};
    std::string out = "<h3>The step's range, 5 to 95 %, by " + escaped(b.by) +
                      "</h3><div class=\"scroll\"><table><thead><tr><th class=\"t\">figure</th>"
                      "<th>shortens the step by</th><th>lengthens it by</th></tr></thead><tbody>";
    for (const Band::Part& p : b.parts)
        out += fmt::format("<tr><td class=\"t\"><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                           escaped(p.name), to_string(p.below), to_string(p.above));
    return out + "</tbody></table></div>";
}

}  // namespace

std::string notes(const Report& report) {
    const Result& r = *report.result;
    std::string out = parts(r.trust);
    for (const Band& b : r.bands) out += band_parts(b);
    if (!r.warnings.empty()) out += "<h3>Warnings</h3>" + list(r.warnings, "notes warn");
    out += "<h3>Assumptions</h3>" + list(r.assumptions, "notes");
    out += "<h3>Scenario</h3><div class=\"scroll\"><table><tbody>";
    for (const auto& [key, value] : r.scenario)
        out += fmt::format("<tr><td class=\"t\"><code>{}</code></td><td class=\"t\">{}</td></tr>",
                           escaped(key), escaped(value));
    return section("What this rests on", "Every assumption and warning of this run.",
                   out + "</tbody></table></div>");
}

}  // namespace weft::tools::html
