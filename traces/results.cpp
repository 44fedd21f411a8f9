#include "traces/results.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/check.hpp"
#include "traces/detail/packet_json.hpp"

namespace weft {
namespace {

// nlohmann's object is a sorted map: keys come out in one order.
using Json = nlohmann::json;

/// Six decimals: the shortest text of the rounded value is the same on every machine.
double rounded(double value) {
    return static_cast<double>(std::llround(value * 1e6)) / 1e6;
}

Json to_json(const CollectiveSummary& c) {
    Json j{{"family", c.family},
           {"kind", c.kind},
           {"algorithm", c.algorithm},
           {"group_size", c.group_size},
           {"size_bytes", c.size.count()},
           {"count", c.count},
           {"mean_time_ps", c.mean_time.ps()},
           {"min_time_ps", c.min_time.ps()},
           {"max_time_ps", c.max_time.ps()},
           {"mean_waiting_ps", c.mean_waiting.ps()},
           {"max_waiting_ps", c.max_waiting.ps()},
           {"algbw_gbytes_per_s", rounded(c.algbw_gbytes_per_s)},
           {"busbw_gbytes_per_s", rounded(c.busbw_gbytes_per_s)}};
    for (const TimePart& p : c.parts)
        j["parts"].push_back({{"name", p.name}, {"time_ps", p.time.ps()}});
    return j;
}

Json to_json(const FamilyTime& f) {
    return {{"family", f.family},
            {"total_ps", f.total.ps()},
            {"exposed_ps", f.exposed.ps()},
            {"waiting_ps", f.waiting.ps()},
            {"transferring_ps", f.transferring.ps()}};
}

Json to_json(const RankSplit& s) {
    return {{"rank", s.rank.valid() ? Json(s.rank.value()) : Json(nullptr)},
            {"alike", s.alike},
            {"in_collectives_ps", s.in_collectives.ps()},
            {"waiting_ps", s.waiting.ps()},
            {"transferring_ps", s.transferring.ps()}};
}

Json to_json(const LinkUse& l) {
    return {{"link", l.link.value()},
            {"name", l.name},
            {"kind", l.kind},
            {"rail", l.rail},
            {"plane", l.plane},
            {"tier", l.tier},
            {"carried_bytes", l.carried.count()},
            {"utilisation", rounded(l.utilisation)},
            {"busy_ps", l.busy.ps()},
            {"alike", l.alike}};
}

Json to_json(const LinkGroupUse& g) {
    return {{"kind", g.kind},
            {"tier", g.tier},
            {"plane", g.plane},
            {"rail", g.rail},
            {"direction", g.up ? "up" : "down"},
            {"links", g.links},
            {"carried_bytes", g.carried.count()},
            {"mean_utilisation", rounded(g.mean_utilisation)},
            {"max_utilisation", rounded(g.max_utilisation)}};
}

Json to_json(const Span& s) {
    return {{"rank", s.rank.value()},   {"track", s.track},     {"label", s.label},
            {"start_ps", s.start.ps()}, {"end_ps", s.end.ps()}, {"ready_ps", s.ready.ps()}};
}

Json to_json(const TrustPart& p) {
    return {{"name", p.name}, {"simulated_ps", p.simulated.ps()}, {"measured_ps", p.measured.ps()}};
}

Json to_json(const Band::Part& p) {
    return {{"name", p.name}, {"below_ps", p.below.ps()}, {"above_ps", p.above.ps()}};
}

Json to_json(const Band& b);

Json to_json(const SeedRun& s) {
    return {{"seed", s.seed},
            {"step_time_ps", s.step_time.ps()},
            {"slowest_rank", s.slowest_rank.valid() ? Json(s.slowest_rank.value()) : Json(nullptr)},
            {"compute_ps", s.compute.ps()},
            {"typical_rank", to_json(s.typical)}};
}

Json seed_percentiles(const std::vector<SeedRun>& runs) {
    Json j = Json::object();
    if (runs.empty()) return j;
    j["min"] = to_json(percentile(runs, 0));
    j["p50"] = to_json(percentile(runs, 50));
    j["p90"] = to_json(percentile(runs, 90));
    j["p99"] = to_json(percentile(runs, 99));
    j["max"] = to_json(percentile(runs, 100));
    return j;
}

template <class T>
Json list(const std::vector<T>& items) {
    Json all = Json::array();
    for (const T& item : items) all.push_back(to_json(item));
    return all;
}

Json to_json(const Band& b) {
    return {
        {"low_ps", b.low.ps()}, {"high_ps", b.high.ps()}, {"by", b.by}, {"parts", list(b.parts)}};
}

Json to_json(const Trust& t) {
    if (t.verdict == Trust::Verdict::kNothingMeasured) return {{"verdict", "nothing measured"}};
    const bool reproduced = t.verdict == Trust::Verdict::kReproduced;
    return {{"verdict", reproduced ? "reproduced" : "not reproduced"},
            {"predicted_anyway", t.predicted_anyway},
            {"measured_by", t.measured_by},
            {"simulated_on", t.on},
            {"limit_ppm", t.limit_ppm},
            {"measured_step_ps", t.step_measured ? Json(t.step.ps()) : Json(nullptr)},
            {"simulated_step_ps", t.simulated_step.ps()},
            {"parts", list(t.parts)},
            {"unexplained_part", t.unexplained},
            {"unexplained_ps", t.unexplained_time.ps()},
            {"not_measured", t.silent},
            {"not_in_the_workload", t.unmatched}};
}

/// "10.9 .. 12.1 ms"; both units where they differ.
std::string range_text(const Band& b) {
    const std::string low = to_string(b.low);
    const std::string high = to_string(b.high);
    const std::size_t unit = low.rfind(' ');
    const bool same = unit != std::string::npos && high.ends_with(low.substr(unit)) &&
                      high.rfind(' ') == high.size() - (low.size() - unit);
    return fmt::format("{} .. {}", same ? low.substr(0, unit) : low, high);
}

}  // namespace

std::string with_bands(SimDuration time, const std::vector<Band>& bands) {
    std::string text = to_string(time);
    for (const Band& b : bands)
        if (b.low != b.high) text += fmt::format(" ({} by {})", range_text(b), b.by);
    return text;
}

const SeedRun& percentile(const std::vector<SeedRun>& runs, unsigned percent) {
    WEFT_CHECK(!runs.empty() && percent <= 100, "percentile {} of {} runs", percent, runs.size());
    std::vector<const SeedRun*> order;
    for (const SeedRun& r : runs) order.push_back(&r);
    std::sort(order.begin(), order.end(), [](const SeedRun* a, const SeedRun* b) {
        return std::tie(a->step_time, a->seed) < std::tie(b->step_time, b->seed);
    });
    const std::size_t rank = (runs.size() * percent + 99) / 100;
    return *order[rank == 0 ? 0 : rank - 1];
}

std::string to_json(const Result& r) {
    Json j;
    j["schema"] = "weft/result/1";
    j["step_time_ps"] = r.step_time.ps();
    j["bands"] = list(r.bands);
    j["slowest_rank"] = r.slowest_rank.valid() ? Json(r.slowest_rank.value()) : Json(nullptr);
    j["has_compute"] = r.has_compute;
    j["compute_ps"] = r.compute.ps();
    j["compute_slowed_ps"] = r.compute_slowed.ps();
    j["bubble_ps"] = r.bubble.ps();
    j["lower_bound_ps"] = r.lower_bound.ps();
    j["lower_bound_by"] = r.lower_bound_by;
    j["families"] = list(r.families);
    j["collectives"] = list(r.collectives);
    j["rank_splits"] = list(r.rank_splits);
    j["typical_rank"] = to_json(r.typical_rank);
    j["seeds"] = list(r.seeds);
    j["seed_percentiles"] = seed_percentiles(r.seeds);
    j["busiest_links"] = list(r.busiest_links);
    j["busiest_distinct"] = list(r.busiest_distinct);
    j["link_groups"] = list(r.link_groups);
    j["timeline"] = list(r.timeline);
    if (r.packets.used) j["packets"] = packets_json(r.packets);
    j["assumptions"] = r.assumptions;
    j["warnings"] = r.warnings;
    j["trust"] = to_json(r.trust);
    j["scenario"] = r.scenario;
    // One line a value would make timelines huge; a space keeps it readable in any viewer.
    return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace weft
