#include "tools/accuracy/plot.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "tools/report/html.hpp"

namespace weft::tools {
namespace {

constexpr double kLeft = 72;
constexpr double kTop = 40;
constexpr double kInner = 620;  // width inside the axes
constexpr double kKey = 188;
constexpr double kBottom = 52;
constexpr const char* kRoot =
    R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}")"
    R"( height="{1:.0f}" role="img" aria-label="{2}">)";
constexpr const char* kInside =
    R"(<clipPath id="c"><rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}"/></clipPath>)";
constexpr const char* kStyle =
    "<style>text{font:12px system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2933}"
    ".t{font-size:15px;font-weight:600}.s{fill:#52606d}"
    ".d{fill:none;stroke-width:5;stroke-linecap:round}.l{fill:none;stroke-width:1.3}"
    ".g{stroke:#d9e2ec;fill:none}.m{stroke:#7b8794;fill:none}</style>";

}  // namespace

Plot::Plot(std::string title, Axis x, Axis y, double height)
    : title_(std::move(title)), x_(std::move(x)), y_(std::move(y)), height_(height) {}

double Plot::x_of(double x) const {
    const double low = log2_of(x_.low);
    return kLeft + kInner * (log2_of(x) - low) / (log2_of(x_.high) - low);
}

double Plot::y_of(double y) const {
    const double low = log2_of(y_.low);
    return kTop + height_ * (1 - (log2_of(y) - low) / (log2_of(y_.high) - low));
}

void Plot::zone(double low, double high) {
    body_ += html::rect(kLeft, y_of(high), kInner, y_of(low) - y_of(high), "#eef6fc");
}

void Plot::guide(double factor, bool flat, bool strong) {
    const double left = flat ? factor : factor * x_.low;
    const double right = flat ? factor : factor * x_.high;
    body_ +=
        fmt::format(R"x(<path clip-path="url(#c)" class="{}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>)x",
                    strong ? "m" : "g", kLeft, y_of(left), kLeft + kInner, y_of(right));
}

void Plot::line(const Points& points, const Style& style, const std::string& name) {
    std::string path;
    for (const auto& [x, y] : points)
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x_of(x), y_of(y));
    body_ += fmt::format(R"(<path class="l" stroke="{}"{} d="{}"><title>{}</title></path>)",
                         style.colour, style.dashed ? R"( stroke-dasharray="4 3")" : "", path,
                         html::escaped(name));
}

void Plot::dots(const Points& points, const Style& style) {
    std::string path;
    for (const auto& [x, y] : points) path += fmt::format("M{:.1f} {:.1f}h0", x_of(x), y_of(y));
    body_ += fmt::format(R"(<path class="d" stroke="{}"{} d="{}"/>)", style.colour,
                         style.dashed ? R"( opacity=".45")" : "", path);
}

void Plot::key(const Style& style, const std::string& name) {
    const double y = kTop + 8 + 20 * keys_++;
    const double x = kLeft + kInner + 18;
    key_ +=
        fmt::format(R"(<path class="l" stroke="{0}"{4} d="M{1:.1f} {2:.1f}h22"/>)"
                    R"(<path class="d" stroke="{0}"{5} d="M{3:.1f} {2:.1f}h0"/>)",
                    style.colour, x, y, x + 11, style.dashed ? R"( stroke-dasharray="4 3")" : "",
                    style.dashed ? R"( opacity=".45")" : "");
    key_ += html::text(x + 30, y + 4, name, "start", "k");
}

std::string Plot::frame() const {
    std::string out = html::text(kLeft, 24, title_, "start", "t");
    for (const auto& [at, label] : x_.ticks) {
        out +=
            fmt::format(R"(<path class="g" d="M{:.1f} {:.1f}v{:.1f}"/>)", x_of(at), kTop, height_);
        out += html::text(x_of(at), kTop + height_ + 17, label, "middle", "s");
    }
    for (const auto& [at, label] : y_.ticks) {
        out +=
            fmt::format(R"(<path class="g" d="M{:.1f} {:.1f}h{:.1f}"/>)", kLeft, y_of(at), kInner);
        out += html::text(kLeft - 7, y_of(at) + 4, label, "end", "s");
    }
    out += html::text(kLeft + kInner / 2, kTop + height_ + 40, x_.title, "middle", "k");
    return out + fmt::format(R"x(<text transform="rotate(-90)" x="{:.1f}" y="14" )x"
                             R"(text-anchor="middle">{}</text>)",
                             -(kTop + height_ / 2), html::escaped(y_.title));
}

std::string Plot::svg() const {
    const double w = kLeft + kInner + kKey;
    const double h = kTop + height_ + kBottom;
    std::string out = fmt::format(kRoot, w, h, html::escaped(title_)) + kStyle;
    out += fmt::format(kInside, kLeft, kTop, kInner, height_);
    out += html::rect(0, 0, w, h, "#fff");
    return out + frame() + body_ + key_ + "</svg>\n";
}

}  // namespace weft::tools
