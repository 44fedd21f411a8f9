#include "simulator/calibrate/validate.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <tuple>

#include "base/result.hpp"
#include "simulator/band.hpp"
#include "simulator/calibrate/fit.hpp"
#include "simulator/endpoint/fitted.hpp"

namespace weft {
namespace {

constexpr double kEqualWithin = 0.05;

/// Seconds a byte and a unit of latency, of one class of curves.
struct Line {
    double a = 0;
    double b = 0;
    bool fitted = false;
};
using ClassKey = std::tuple<std::string, Collective, bool>;

/// Curves of all machines that one profile stands for share their lines, as they share its figures.
ClassKey class_of(const MeasuredSetup& s, const std::vector<MachineProfile>& profiles) {
    const MachineProfile* p = profile_for(profiles, s.machine);
    return {p == nullptr ? s.machine : p->name, s.collective, s.hosts > 1};
}

double bus_bytes(const MeasuredSetup& s, Bytes size) {
    return static_cast<double>(size.count()) * busbw_factor(s.collective, s.ranks());
}

double ring_steps(const MeasuredSetup& s) {
    const double one_way = static_cast<double>(s.ranks()) - 1;
    return s.collective == Collective::kAllReduce ? 2 * one_way : one_way;
}

/// Least squares of relative errors of time = a u + b x.
struct LineSums {
    double uu = 0, ux = 0, xx = 0, u = 0, x = 0;
    void add(double latency, double bytes, double seconds) {
        const double p = latency / seconds;
        const double q = bytes / seconds;
        uu += p * p;
        ux += p * q;
        xx += q * q;
        u += p;
        x += q;
    }
    [[nodiscard]] Line solve() const {
        const double d = uu * xx - ux * ux;
        if (!(d > 0)) return {};
        const double a = (u * xx - x * ux) / d;
        const double b = (x * uu - u * ux) / d;
        if (a < 0) return {0, x / xx, true};
        return {a, b, true};
    }
};

double seconds(SimDuration d) {
    return static_cast<double>(d.ps()) * 1e-12;
}

SimDuration from_seconds(double s) {
    return SimDuration{static_cast<std::int64_t>(s * 1e12 + 0.5)};
}

struct NullModels {
    std::map<ClassKey, Line> line;
    std::map<ClassKey, Line> steps;

    NullModels(const Measurements& all, const std::vector<MachineProfile>& profiles) {
        std::map<ClassKey, std::pair<LineSums, LineSums>> sums;
        for (const MeasuredCase& c : all.cases) {
            if (c.use != Use::kFit) continue;
            auto& [plain, stepped] = sums[class_of(c, profiles)];
            for (const MeasuredPoint& p : c.points) {
                plain.add(1, bus_bytes(c, p.size), seconds(p.time));
                stepped.add(ring_steps(c), bus_bytes(c, p.size), seconds(p.time));
            }
        }
        for (const auto& [key, both] : sums) {
            line[key] = both.first.solve();
            steps[key] = both.second.solve();
        }
    }

    static std::optional<SimDuration> at(const std::map<ClassKey, Line>& lines, const ClassKey& key,
                                         const MeasuredSetup& s, double latency, Bytes size) {
        const auto found = lines.find(key);
        if (found == lines.end() || !found->second.fitted) return {};
        return from_seconds(found->second.a * latency + found->second.b * bus_bytes(s, size));
    }
};

void add_bands(ValidatedCase& v, const CaseModel& model, const MachineProfile& profile,
               const std::vector<SimDuration>& times, EndpointModel endpoint) {
    const TimesUnder under = [&](const MachineProfile& m) { return model.times(m); };
    const std::vector<Band> bands = bands_by_figures(profile, times, times, under, endpoint);
    for (std::size_t i = 0; i < bands.size(); ++i) {
        v.points[i].low = bands[i].low;
        v.points[i].high = bands[i].high;
    }
}

ValidatedCase validate_case(const MeasuredCase& c, const std::vector<MachineProfile>& profiles,
                            const NullModels& nulls, bool bands, EndpointModel endpoint) {
    ValidatedCase v;
    v.measured = &c;
    v.machine = c.machine;
    const MachineProfile* profile = profile_for(profiles, c.machine);
    if (profile == nullptr) {
        v.problem = "no profile of " + c.machine;
        return v;
    }
    try {
        const CaseModel model(c, endpoint);
        const std::vector<SimDuration> times = model.times(*profile);
        const std::vector<std::string> how = model.carried();
        const std::vector<std::optional<SimDuration>> nccl = model.predicted_by_nccl();
        const ClassKey key = class_of(c, profiles);
        for (std::size_t i = 0; i < c.points.size(); ++i) {
            const MeasuredPoint& p = c.points[i];
            ValidatedPoint one;
            one.size = p.size;
            one.measured = p.time;
            one.simulated = one.low = one.high = times[i];
            one.line = NullModels::at(nulls.line, key, c, 1, p.size);
            one.steps = NullModels::at(nulls.steps, key, c, ring_steps(c), p.size);
            one.nccl = nccl[i];
            one.carried = how[i];
            v.points.push_back(std::move(one));
        }
        if (!c.points.empty() && endpoint == EndpointModel::kCalibrated)
            v.beyond = beyond_fit(*profile, {{c.collective, c.hosts, c.points.front().size},
                                             {c.collective, c.hosts, c.points.back().size}});
        if (bands) add_bands(v, model, *profile, times, endpoint);
    } catch (const ConfigError& e) {
        v.problem = e.what();
    }
    return v;
}

SimDuration time_of(const Choice& choice, Bytes size, const std::vector<MachineProfile>& profiles,
                    EndpointModel endpoint) {
    MeasuredCase c;
    static_cast<MeasuredSetup&>(c) = choice;
    c.id = choice.what;
    c.points = {{.size = size, .time = {}, .low = {}, .high = {}}};
    const MachineProfile* profile = profile_for(profiles, c.machine);
    if (profile == nullptr)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "machine",
                           .found = printable(c.machine),
                           .expected = "a machine with a profile",
                           .example = {}});
    return CaseModel(c, endpoint).times(*profile).front();
}

ValidatedDecision validate_decision(const Decision& d, const std::vector<MachineProfile>& profiles,
                                    EndpointModel endpoint) {
    ValidatedDecision v;
    v.decision = &d;
    if (d.step) {
        v.problem = "decided on a training step";
        return v;
    }
    if (static_cast<const MeasuredSetup&>(d.a) == static_cast<const MeasuredSetup&>(d.b)) {
        v.problem = "the sides differ in what no curve says: " + d.a.run;
        return v;
    }
    const Bytes size = d.size.count() > 0 ? d.size : Bytes{std::int64_t{1} << 30};
    try {
        v.a = time_of(d.a, size, profiles, endpoint);
        v.b = time_of(d.b, size, profiles, endpoint);
    } catch (const ConfigError& e) {
        v.problem = e.what();
        return v;
    }
    const double a = seconds(v.a);
    const double b = seconds(v.b);
    const bool equal = std::abs(a - b) <= kEqualWithin * std::min(a, b);
    v.right = d.faster == Decision::kEqual ? equal : (d.faster == Decision::kA ? a < b : b < a);
    return v;
}

}  // namespace

Validation validate_measurements(const Measurements& all,
                                 const std::vector<MachineProfile>& profiles,
                                 const WantsBands& bands, EndpointModel endpoint) {
    const NullModels nulls(all, profiles);
    Validation v;
    for (const MeasuredCase& c : all.cases)
        v.cases.push_back(validate_case(c, profiles, nulls, bands && bands(c), endpoint));
    for (const Decision& d : all.decisions)
        v.decisions.push_back(validate_decision(d, profiles, endpoint));
    return v;
}

std::optional<SimDuration> said_by(const ValidatedPoint& p, Model m) {
    switch (m) {
        case Model::kWeft:
            return p.simulated;
        case Model::kLine:
            return p.line;
        case Model::kSteps:
            return p.steps;
        case Model::kNccl:
            return p.nccl;
    }
    return {};
}

double error_of(SimDuration said, SimDuration measured) {
    return (seconds(said) - seconds(measured)) / seconds(measured);
}

const char* name_of(Model m) {
    constexpr const char* kNames[] = {"weft", "line", "alpha-beta", "nccl tuning"};
    return kNames[static_cast<std::size_t>(m)];
}

ErrorSummary summarise(const Validation& v, Model model, Use use,
                       std::optional<Collective> collective, Sizes which) {
    ErrorSummary s;
    std::vector<double> sizes;
    for (const ValidatedCase& c : v.cases) {
        if (c.measured->use != use || !c.problem.empty()) continue;
        if (collective && c.measured->collective != *collective) continue;
        for (const ValidatedPoint& p : c.points) {
            const std::optional<SimDuration> said = said_by(p, model);
            if (!said || (which == Sizes::kCounted && p.size < kLeastCounted) ||
                (which == Sizes::kSmall && p.size >= kLeastCounted))
                continue;
            const double e = error_of(*said, p.measured);
            sizes.push_back(std::abs(e));
            if (std::abs(e) <= std::abs(s.worst)) continue;
            s.worst = e;
            s.worst_at = fmt::format("{} at {}", c.measured->id, to_string(p.size));
        }
    }
    s.points = sizes.size();
    s.median = median(sizes);
    std::sort(sizes.begin(), sizes.end());
    if (!sizes.empty()) s.p90 = sizes[(sizes.size() * 9) / 10];
    return s;
}

}  // namespace weft
