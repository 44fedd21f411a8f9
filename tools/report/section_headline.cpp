// The step time, and one bar that says where it goes.
#include <algorithm>
#include <fmt/format.h>

#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;

std::string number(const std::string& value, const std::string& what) {
    return "<div><b>" + escaped(value) + "</b><span>" + escaped(what) + "</span></div>";
}

std::string bar(const std::vector<Share>& shares) {
    double whole = 0;
    for (const Share& s : shares) whole += s.of_step;
    whole = std::max(whole, 1.0);  // exposed at once: more than the step
    std::string body;
    double x = 0;
    for (const Share& s : shares) {
        const double w = kWidth * s.of_step / whole;
        if (w <= 0) continue;
        body += rect(x, 0, std::max(w - 1, 0.6), 34, s.colour,
                     s.name + ": " + to_string(s.time) + ", " + percent(s.of_step));
        if (w > 54)
            body += text(x + w / 2, 22, percent(s.of_step), "middle",
                         s.name == "bubble" ? "onLight" : "onDark");
        x += w;
    }
    return svg(kWidth, 34, body, "where the step time goes");
}

std::string key(const std::vector<Share>& shares) {
    std::string out = "<ul class=\"key\">";
    for (const Share& s : shares)
        out += fmt::format("<li><i style=\"background:{}\"></i>{} {} ({})</li>", s.colour,
                           escaped(s.name), to_string(s.time), percent(s.of_step));
    return out + "</ul>";
}

}  // namespace

std::string headline(const Report& report) {
    const Result& r = *report.result;
    std::string out = "<div class=\"big\">" + number(to_string(r.step_time), "step time");
    for (const Band& b : r.bands)
        out += number(to_string(b.low) + " .. " + to_string(b.high), "5 to 95 % by " + b.by);
    if (r.has_compute) {
        SimDuration exposed;
        for (const FamilyTime& f : r.families) exposed += f.exposed;
        out += number(percent(ratio(r.compute, r.step_time)), "computing");
        out += number(to_string(exposed), "communication not hidden");
        if (r.compute_slowed > SimDuration{0})
            out += number(to_string(r.compute_slowed), "compute slowed by communication");
    } else {
        out += number("none in the trace", "compute");
    }
    out += number(to_string(r.bubble), "bubble");
    out += number(to_string(r.lower_bound), "no step can beat");
    if (r.slowest_rank.valid())
        out += number(std::to_string(r.slowest_rank.value()), "slowest rank");
    const std::vector<Share> shares = shares_of(r);
    out += "</div>" + bar(shares) + key(shares);
    out += "<p class=\"limit\"><b>What limits it:</b> " + escaped(limit_of(r)) + "</p>";
    return section("The step",
                   "All times are of the slowest rank; hidden communication is not drawn.", out);
}

}  // namespace weft::tools::html
