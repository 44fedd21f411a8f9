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

}  // namespace

std::string notes(const Report& report) {
    const Result& r = *report.result;
    std::string out =
        "<p class=\"limit\"><b>How far to trust it:</b> " + escaped(report.trust) + "</p>";
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
