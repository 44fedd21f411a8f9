#include "tools/report/html.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weft::tools::html {

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else if (c == '\'')
            out += "&#39;";
        else if (static_cast<unsigned char>(c) < 0x20)
            out += ' ';
        else
            out += c;
    }
    return out;
}

std::string rect(double x, double y, double w, double h, const std::string& fill,
                 const std::string& tooltip) {
    const std::string start =
        fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}")", x, y,
                    std::max(w, 0.0), h, fill);
    if (tooltip.empty()) return start + "/>";
    return start + "><title>" + escaped(tooltip) + "</title></rect>";
}

std::string text(double x, double y, const std::string& words, const std::string& anchor,
                 const std::string& css) {
    return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>)", x, y,
                       anchor, css, escaped(words));
}

std::string svg(double w, double h, const std::string& body, const std::string& description) {
    return fmt::format(R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>)", w,
                       h, escaped(description), body);
}

std::string section(const std::string& heading, const std::string& how, const std::string& body) {
    return "<section><h2>" + escaped(heading) + "</h2><p class=\"how\">" + escaped(how) + "</p>" +
           body + "</section>\n";
}

namespace {

constexpr std::array<const char*, 10> kHeat{"#f3f6f9", "#dbe9f3", "#bfdbeb", "#9ecae1", "#74b3d4",
                                            "#4b97c3", "#2f7ab0", "#1d5d94", "#124274", "#0a2a50"};

std::size_t heat_step(double share) {
    const auto step = static_cast<int>(share * static_cast<double>(kHeat.size()));
    return static_cast<std::size_t>(std::clamp(step, 0, static_cast<int>(kHeat.size()) - 1));
}

}  // namespace

std::string heat(double share) {
    return kHeat[heat_step(share)];
}
std::string on_heat(double share) {
    return heat_step(share) >= 5 ? "onDark" : "onLight";
}
std::string percent(double share) {
    return fmt::format("{:.1f} %", 100 * share);
}

}  // namespace weft::tools::html
