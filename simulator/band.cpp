#include "simulator/band.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/check.hpp"

namespace weft {
namespace {

SimDuration root_of_squares(const std::vector<Band::Part>& parts, SimDuration Band::Part::*side) {
    double sum = 0;
    for (const Band::Part& p : parts) {
        const auto ps = static_cast<double>((p.*side).ps());
        sum += ps * ps;
    }
    return SimDuration{static_cast<std::int64_t>(std::sqrt(sum) + 0.5)};
}

std::string source_of(const MachineProfile& m) {
    return fmt::format("machine {}'s ranges", m.name);
}

struct Figure {
    const char* name;
    Estimate* estimate;
};

/// Those that the endpoint model reads.
std::vector<Figure> figures_of(MachineProfile& m, EndpointModel endpoint) {
    std::vector<Figure> figures;
    for (std::size_t i = 0; i < kCosts && endpoint == EndpointModel::kCalibrated; ++i)
        figures.push_back({cost_table()[i].name, &m.costs[i]});
    for (std::size_t i = 0; i < kDetails && endpoint == EndpointModel::kDetailed; ++i)
        figures.push_back({detail_table()[i].name, &m.detailed.figures[i]});
    return figures;
}

/// The ends of a figure's range that differ from its value.
std::vector<std::int64_t> ends_of(const Estimate& e) {
    std::vector<std::int64_t> ends;
    if (e.low < e.value) ends.push_back(e.low);
    if (e.high > e.value) ends.push_back(e.high);
    return ends;
}

}  // namespace

std::vector<Band> bands_by_figures(const MachineProfile& m, const std::vector<SimDuration>& middle,
                                   const std::vector<SimDuration>& decided, const TimesUnder& times,
                                   EndpointModel endpoint) {
    WEFT_CHECK(decided.size() == middle.size(), "{} parts of {} times", decided.size(),
               middle.size());
    const bool fitted = endpoint == EndpointModel::kCalibrated;
    std::vector<Band> bands(middle.size());
    for (std::size_t k = 0; k < bands.size() && m.model_error > 0 && fitted; ++k) {
        const Int128 off = Int128{decided[k].ps()} * m.model_error / 1000;
        const SimDuration both{static_cast<std::int64_t>(off)};
        bands[k].parts.push_back({.name = "the model itself", .below = both, .above = both});
    }
    MachineProfile moved = m;
    for (const Figure& f : figures_of(moved, endpoint)) {
        std::vector<Band::Part> parts(middle.size());
        const std::int64_t value = f.estimate->value;
        for (const std::int64_t end : ends_of(*f.estimate)) {
            f.estimate->value = end;
            const std::vector<SimDuration> now = times(moved);
            f.estimate->value = value;
            WEFT_CHECK(now.size() == middle.size(), "{} times of {}", now.size(), middle.size());
            for (std::size_t k = 0; k < now.size(); ++k) {
                parts[k].below = std::max(parts[k].below, middle[k] - now[k]);
                parts[k].above = std::max(parts[k].above, now[k] - middle[k]);
            }
        }
        for (std::size_t k = 0; k < parts.size(); ++k) {
            if (parts[k].below == SimDuration{} && parts[k].above == SimDuration{}) continue;
            parts[k].name = f.name;
            bands[k].parts.push_back(std::move(parts[k]));
        }
    }
    for (std::size_t k = 0; k < bands.size(); ++k) {
        Band& b = bands[k];
        b.by = fitted ? source_of(m) : "the ranges of detailed figures";
        b.low = middle[k] - std::min(root_of_squares(b.parts, &Band::Part::below), middle[k]);
        b.high = middle[k] + root_of_squares(b.parts, &Band::Part::above);
        std::stable_sort(b.parts.begin(), b.parts.end(),
                         [](const Band::Part& x, const Band::Part& y) {
                             return x.below + x.above > y.below + y.above;
                         });
    }
    return bands;
}

Band band_by_figures(const Scenario& s, const Result& r, const ProgressSink& progress) {
    const SimDuration step = r.step_time;
    if (s.endpoint == EndpointModel::kIdeal)
        return {
            .low = step, .high = step, .by = "endpoint ideal, which has no figures", .parts = {}};
    std::size_t runs = 0;
    MachineProfile m = s.machine;
    for (const Figure& f : figures_of(m, s.endpoint)) runs += ends_of(*f.estimate).size();
    std::size_t done = 0;
    const TimesUnder times = [&](const MachineProfile& under) {
        Scenario moved = s;
        moved.machine = under;
        moved.symmetry = true;  // the same answer, and quickest
        if (progress)
            progress(static_cast<double>(done) / static_cast<double>(runs),
                     fmt::format("band: run {} of {}", done + 1, runs));
        ++done;
        return std::vector<SimDuration>{simulate(moved).step_time};
    };
    SimDuration open;
    for (const FamilyTime& f : r.families) open += f.exposed;
    const SimDuration decided = s.workload->has_compute ? std::min(open, step) : step;
    return bands_by_figures(m, {step}, {decided}, times, s.endpoint).front();
}

}  // namespace weft
