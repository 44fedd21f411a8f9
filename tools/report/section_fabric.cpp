// The fabric by tier: a row a kind and tier of links and a direction, a box a plane, a cell a rail.
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "tools/report/html.hpp"
#include "tools/report/shares.hpp"

namespace weft::tools::html {
namespace {

constexpr double kWidth = 1070;
constexpr double kLeft = 190;
constexpr double kRow = 30;

struct Row {
    std::int32_t tier = 0;
    int kind_order = 0;  // from the core down to the GPUs
    bool up = true;
    std::string kind;
    bool operator<(const Row& o) const {
        return std::tuple(-tier, kind_order, !up) < std::tuple(-o.tier, o.kind_order, !o.up);
    }
};

std::string name_of(const Row& row) {
    std::string place = row.kind;
    if (row.kind == "access") place = "NIC - ToR";
    if (row.kind == "pcie") place = "GPU - NIC (PCIe)";
    if (row.kind == "scale-up") place = "GPU - scale-up switch";
    if (row.kind == "fabric") place = row.tier == 2 ? "ToR - aggregation" : "aggregation - core";
    return place + (row.up ? " up" : " down");
}

Row row_of(const LinkGroupUse& g) {
    const int order = g.kind == "fabric" ? 0 : g.kind == "access" ? 1 : g.kind == "pcie" ? 2 : 3;
    return {g.tier, order, g.up, g.kind};
}

std::string cell(const LinkGroupUse& g, double x, double y, double w) {
    const std::string tip =
        fmt::format("{}, {}, {}: {} links, mean {}, busiest {}, {} carried", name_of(row_of(g)),
                    index_text("plane", g.plane), index_text("rail", g.rail), g.links,
                    percent(g.mean_utilisation), percent(g.max_utilisation), to_string(g.carried));
    // The busiest link gives the colour: a mean over a large fabric hides a small job.
    std::string out = rect(x, y, w - 2, kRow - 4, heat(g.max_utilisation), tip);
    out += rect(x, y + kRow - 7, (w - 2) * std::min(g.mean_utilisation, 1.0), 3, "#d55e00", tip);
    if (w > 34)
        out += text(x + w / 2 - 1, y + 17, fmt::format("{:.0f}", 100 * g.max_utilisation), "middle",
                    on_heat(g.max_utilisation));
    return out;
}

std::string scale(double y) {
    std::string out = text(kLeft, y + 11, "utilisation", "start", "soft");
    for (int i = 0; i < 10; ++i) out += rect(kLeft + 70 + 26 * i, y, 26, 14, heat(0.1 * i + 0.01));
    out += text(kLeft + 70, y + 27, "0", "start", "soft");
    out += text(kLeft + 330, y + 27, "100 %", "end", "soft");
    out += rect(kLeft + 390, y + 5, 40, 3, "#d55e00");
    return out + text(kLeft + 438, y + 11, "mean over all links of the cell", "start", "soft");
}

}  // namespace

std::string fabric(const Result& r) {
    std::map<Row, std::vector<const LinkGroupUse*>> rows;
    for (const LinkGroupUse& g : r.link_groups) rows[row_of(g)].push_back(&g);
    if (rows.empty()) return {};
    std::string body;
    double y = 4;
    std::string last;
    for (auto& [row, groups] : rows) {
        std::sort(groups.begin(), groups.end(), [](const auto* a, const auto* b) {
            return std::pair(a->plane, a->rail) < std::pair(b->plane, b->rail);
        });
        if (!last.empty() && last != row.kind) y += 8;
        if (row.kind == "access" && row.up) y += 12;  // room for the names of the planes
        last = row.kind;
        std::set<std::int32_t> planes;
        for (const auto* g : groups) planes.insert(g->plane);
        const double gap = 10;
        const double w = (kWidth - kLeft - gap * static_cast<double>(planes.size() - 1)) /
                         static_cast<double>(groups.size());
        body += text(0, y + 17, name_of(row));
        double x = kLeft;
        std::int32_t plane = groups.front()->plane;
        for (const auto* g : groups) {
            if (g->plane != plane) x += gap;
            if (row.up && row.kind == "access" && g->plane >= 0 &&
                (x == kLeft || g->plane != plane))
                body += text(x, y - 3, index_text("plane", g->plane), "start", "soft");
            plane = g->plane;
            body += cell(*g, x, y, w);
            x += w;
        }
        y += kRow;
    }
    body += scale(y + 10);
    return section("The fabric",
                   "Use of the busiest link of each cell over the step, in per cent: core on top, "
                   "GPUs at the bottom; planes are boxes side by side, rails are cells.",
                   svg(kWidth, y + 42, body, "use of the fabric by tier, plane and rail"));
}

}  // namespace weft::tools::html
