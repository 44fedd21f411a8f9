#include "tools/report/shares.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "tools/report/report.hpp"

namespace weft::tools {

double ratio(SimDuration a, SimDuration b) {
    return b.ps() == 0 ? 0.0 : static_cast<double>(a.ps()) / static_cast<double>(b.ps());
}

std::string index_text(const char* what, std::int32_t index) {
    return index < 0 ? "-" : fmt::format("{} {}", what, index);
}

std::string colour_of(const std::string& family) {
    static const std::array<std::pair<const char*, const char*>, 8> kColours{{
        {"compute", "#7b8794"},
        {"TP", "#0072b2"},
        {"EP", "#009e73"},
        {"DP", "#d55e00"},
        {"DP_EP", "#e69f00"},
        {"PP", "#b0568f"},
        {"bubble", "#e4e7eb"},
        {"other", "#56b4e9"},
    }};
    // "PP send" and "PP recv" are queues of PP.
    const std::string name = family.substr(0, family.find(' '));
    for (const auto& [known, colour] : kColours)
        if (name == known) return colour;
    return kColours.back().second;
}

std::vector<Share> shares_of(const Result& r) {
    std::vector<Share> shares;
    const auto add = [&](const std::string& name, const std::string& family, SimDuration time) {
        shares.push_back({name, colour_of(family), time, ratio(time, r.step_time)});
    };
    if (r.has_compute) add("compute", "compute", r.compute);
    for (const FamilyTime& f : r.families)
        if (r.has_compute)
            add("exposed " + f.family, f.family, f.exposed);
        else
            add(f.family + " in flight", f.family, f.total);
    add("bubble", "bubble", r.bubble);
    return shares;
}

std::string limit_of(const Result& r) {
    std::vector<Share> shares = shares_of(r);
    std::stable_sort(shares.begin(), shares.end(),
                     [](const auto& a, const auto& b) { return a.time > b.time; });
    if (shares.front().time == SimDuration{0}) return "nothing takes time";
    const auto most = shares.begin();
    std::string text = fmt::format("{} is {:.1f} % of the step", most->name, 100 * most->of_step);
    if (shares.size() > 1 && shares[1].time > SimDuration{0})
        text += fmt::format(", then {} with {:.1f} %", shares[1].name, 100 * shares[1].of_step);
    if (most->name == "compute") {
        SimDuration exposed;
        for (const FamilyTime& f : r.families) exposed += f.exposed;
        if (exposed == SimDuration{}) return text + "; no communication is exposed";
        return text +
               (r.bubble == SimDuration{}
                    ? fmt::format("; a perfect network would save at most {}", to_string(exposed))
                    : fmt::format("; a perfect network would save {} and what of the bubble waits "
                                  "for communication",
                                  to_string(exposed)));
    }
    if (most->name == "bubble")
        return text + ": more micro-batches or fewer pipeline stages, not a faster network";
    if (!r.busiest_links.empty()) {
        const LinkUse& l = r.busiest_links.front();
        text += fmt::format("; the busiest link, {} ({}), is {:.0f} % used over the step", l.name,
                            l.kind, 100 * l.utilisation);
    }
    return text;
}

}  // namespace weft::tools
