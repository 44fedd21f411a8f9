#include "simulator/calibrate/hold_out.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "simulator/calibrate/validate.hpp"

namespace weft {
namespace {

RemainderOf remainder_key(const MeasuredCase& c) {
    const Library l = library_of(c);
    return {.collective = c.collective,
            .hosts = c.hosts,
            .ranks = c.ranks(),
            .library = l.name,
            .algorithm = l.algorithm,
            .nvls = l.nvls && l.algorithm.empty()};
}

/// Of each point of the fit: whether it goes into the remainder. A row that stands apart is taken
/// for wrong. Where more than an eighth of a curve's rows do, and more than one, it is the figures
/// that do not fit the curve: then its rows are the machine's own.
std::vector<bool> kept_rows(const Fit& fit, std::size_t curves) {
    std::vector<std::size_t> rows(curves), apart(curves);
    for (const FittedPoint& p : fit.points) {
        ++rows[p.which];
        apart[p.which] += p.outlier ? 1 : 0;
    }
    std::vector<bool> kept;
    for (const FittedPoint& p : fit.points)
        kept.push_back(!p.outlier || apart[p.which] > std::max<std::size_t>(rows[p.which] / 8, 1));
    return kept;
}

/// Errors of some rows, by the figures alone and with the remainder.
class Judge {
  public:
    explicit Judge(const MachineProfile& profile) : with_(profile), without_(profile) {
        without_.remainder.clear();
    }

    template <class Counts>
    void add(const MeasuredCase& c, const Counts& counts) {
        const CaseModel model(c);
        const std::vector<SimDuration> named = model.times(without_);
        const std::vector<SimDuration> remained = model.times(with_);
        for (std::size_t i = 0; i < c.points.size(); ++i) {
            if (!counts(i)) continue;
            named_.push_back(std::abs(error_of(named[i], c.points[i].time)));
            remained_.push_back(std::abs(error_of(remained[i], c.points[i].time)));
        }
    }

    [[nodiscard]] HeldOut result() const {
        return {.rows = named_.size(), .named = median(named_), .remained = median(remained_)};
    }

  private:
    MachineProfile with_;
    MachineProfile without_;
    std::vector<double> named_;
    std::vector<double> remained_;
};

}  // namespace

void add_remainder(Fit& fit, const std::vector<const MeasuredCase*>& cases) {
    fit.profile.remainder.clear();
    std::vector<std::map<Bytes, std::vector<double>>> factors;  // by remainder of the profile
    std::vector<Remainder>& all = fit.profile.remainder;
    const std::vector<bool> kept = kept_rows(fit, cases.size());
    for (std::size_t k = 0; k < kept.size(); ++k) {
        if (!kept[k]) continue;
        const FittedPoint& p = fit.points[k];
        const RemainderOf key = remainder_key(*cases[p.which]);
        const auto known =
            std::find_if(all.begin(), all.end(), [&](const Remainder& r) { return r.of == key; });
        const auto i = static_cast<std::size_t>(known - all.begin());
        if (known == all.end()) {
            all.push_back({.of = key, .rows = {}});
            factors.emplace_back();
        }
        factors[i][cases[p.which]->points[p.point].size].push_back(1000 / (1 + p.error));
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        for (const auto& [size, some] : factors[i]) {
            const double most = static_cast<double>(kMostRemainder);
            const double held = std::clamp(median(some), double{kLeastRemainder}, most);
            all[i].rows.push_back({size, static_cast<std::int64_t>(held + 0.5)});
        }
}

HeldOut reproduced(const Fit& fit, const std::vector<const MeasuredCase*>& cases) {
    Judge judge(fit.profile);
    const std::vector<bool> kept = kept_rows(fit, cases.size());
    std::size_t first = 0;
    for (const MeasuredCase* c : cases) {
        judge.add(*c, [&](std::size_t i) -> bool { return kept[first + i]; });
        first += c->points.size();
    }
    return judge.result();
}

HeldOut hold_out(const std::vector<const MeasuredCase*>& cases, const MachineProfile& start) {
    std::vector<MeasuredCase> halves;
    for (const MeasuredCase* c : cases) {
        halves.push_back(*c);
        if (c->points.size() < kLeastRows) continue;
        halves.back().points.clear();
        for (std::size_t i = 0; i < c->points.size(); i += 2)
            halves.back().points.push_back(c->points[i]);
    }
    std::vector<const MeasuredCase*> fitted;
    for (const MeasuredCase& half : halves) fitted.push_back(&half);
    Fit fit = fit_profile(fitted, start);
    add_remainder(fit, fitted);
    Judge judge(fit.profile);
    for (const MeasuredCase* c : cases)
        if (c->points.size() >= kLeastRows) judge.add(*c, [](std::size_t i) { return i % 2 == 1; });
    return judge.result();
}

}  // namespace weft
