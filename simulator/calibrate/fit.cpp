#include "simulator/calibrate/fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "base/check.hpp"
#include "base/result.hpp"
#include "simulator/endpoint/belief.hpp"
#include "simulator/endpoint/fitted.hpp"

namespace weft {
namespace {

constexpr double kSigma = 0.05;
constexpr double kHuber = 1.0;  // errors beyond so many sigmas pull with constant force
constexpr int kMostRounds = 60;
constexpr int kMostCycles = 12;
constexpr double kStep = 0.02;        // of a prior's width, for derivatives
constexpr double kLeastApart = 0.10;  // an outlier stands apart by at least this
constexpr double kApartScales = 4.0;

using Row = std::vector<double>;
using Matrix = std::vector<Row>;

/// Solves a x = b for a symmetric positive definite a; false when it is not.
bool solve(Matrix a, Row b, Row& x) {
    const std::size_t n = b.size();
    for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t k = 0; k < j; ++k)
            for (std::size_t i = j; i < n; ++i) a[i][j] -= a[i][k] * a[j][k];
        if (!(a[j][j] > 0)) return false;
        const double root = std::sqrt(a[j][j]);
        for (std::size_t i = j; i < n; ++i) a[i][j] /= root;
    }
    x = std::move(b);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t k = 0; k < i; ++k) x[i] -= a[i][k] * x[k];
        x[i] /= a[i][i];
    }
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t k = i + 1; k < n; ++k) x[i] -= a[k][i] * x[k];
        x[i] /= a[i][i];
    }
    return true;
}

double error_of(SimDuration simulated, SimDuration measured) {
    const double t = static_cast<double>(std::max<std::int64_t>(simulated.ps(), 1));
    const double m = static_cast<double>(measured.ps());
    return (t - m) / std::sqrt(t * m);
}

class Fitter {
  public:
    Fitter(const std::vector<const MeasuredCase*>& cases, const Simulate& simulate,
           const MachineProfile& start)
        : cases_(&cases), simulate_(&simulate), start_(start) {
        start_.remainder.clear();  // the figures are fitted, not what others left
        for (std::size_t i = 0; i < kCosts; ++i)
            if (prior_width(static_cast<Cost>(i)) > 0) free_.push_back(static_cast<Cost>(i));
        for (std::size_t c = 0; c < cases.size(); ++c)
            for (std::size_t p = 0; p < cases[c]->points.size(); ++p) where_.emplace_back(c, p);
    }

    Fit run() {
        Row at(free_.size(), 0.0);
        Row errors = errors_at(at);
        int rounds = 0;
        for (int cycle = 0; cycle < kMostCycles; ++cycle) {
            const double before = objective(errors, at);
            rounds += descend(at, errors);
            one_by_one(at, errors);
            if (before - objective(errors, at) < 1e-3 * before) break;
        }
        return finish(at, errors, rounds);
    }

  private:
    /// Levenberg's and Marquardt's method, until it finds nothing better.
    int descend(Row& at, Row& errors) {
        double cost = objective(errors, at);
        double damping = 1e-2;
        int round = 0;
        for (; round < kMostRounds; ++round) {
            differentiate(at, errors);
            Row next;
            bool better = false;
            for (int attempt = 0; attempt < 8 && !better; ++attempt) {
                next = step(at, errors, damping);
                const Row there = errors_at(next);
                const double now = objective(there, next);
                better = now < cost;
                damping = better ? std::max(damping / 4, 1e-6) : damping * 6;
                if (!better) continue;
                const bool done = cost - now < 1e-5 * cost;
                at = next;
                errors = there;
                cost = now;
                if (done) return round + 1;
            }
            if (!better) break;
        }
        return round;
    }

    /// Figures that stand at a bound stop the method above; each is tried by itself.
    void one_by_one(Row& at, Row& errors) const {
        double cost = objective(errors, at);
        for (std::size_t j = 0; j < at.size(); ++j)
            for (const double by : {1.0, -1.0, 0.3, -0.3, 0.1, -0.1}) {
                Row next = at;
                next[j] = held(j, at[j] + by);
                const Row there = errors_at(next);
                const double now = objective(there, next);
                if (now >= cost) continue;
                at = next;
                errors = there;
                cost = now;
            }
    }

    [[nodiscard]] const MeasuredPoint& point(std::size_t i) const {
        return (*cases_)[where_[i].first]->points[where_[i].second];
    }

    [[nodiscard]] MachineProfile profile_at(const Row& at) const {
        MachineProfile p = start_;
        for (std::size_t j = 0; j < free_.size(); ++j) {
            const CostInfo& info = cost_table()[static_cast<std::size_t>(free_[j])];
            const double held =
                std::clamp(figure_at(free_[j], at[j]), static_cast<double>(info.least),
                           static_cast<double>(info.most));
            p.at(free_[j]).value = static_cast<std::int64_t>(held + 0.5);
        }
        return p;
    }

    [[nodiscard]] Row errors_at(const Row& at) const {
        const std::vector<SimDuration> times = (*simulate_)(profile_at(at));
        WEFT_CHECK(times.size() == where_.size(), "{} times of {} points", times.size(),
                   where_.size());
        Row e(times.size());
        for (std::size_t i = 0; i < e.size(); ++i) e[i] = error_of(times[i], point(i).time);
        return e;
    }

    [[nodiscard]] static double weight(double error) {
        const double far = std::abs(error) / kSigma;
        return far <= kHuber ? 1.0 : kHuber / far;
    }

    [[nodiscard]] static double objective(const Row& errors, const Row& at) {
        double sum = 0;
        for (const double e : errors) {
            const double far = std::abs(e) / kSigma;
            sum += far <= kHuber ? far * far : 2 * kHuber * far - kHuber * kHuber;
        }
        for (const double u : at) sum += u * u;
        return sum;
    }

    void differentiate(const Row& at, const Row& errors) {
        slopes_.assign(free_.size(), {});
        for (std::size_t j = 0; j < free_.size(); ++j) {
            Row moved = at;
            moved[j] = held(j, at[j] + kStep);
            if (moved[j] - at[j] < kStep / 2) moved[j] = at[j] - kStep;
            slopes_[j] = errors_at(moved);
            for (std::size_t i = 0; i < errors.size(); ++i)
                slopes_[j][i] = (slopes_[j][i] - errors[i]) / (moved[j] - at[j]);
        }
    }

    /// Slopes' products weighted, and the prior's ones on the diagonal.
    [[nodiscard]] Matrix curvature(const Row& errors) const {
        Matrix a(free_.size(), Row(free_.size(), 0.0));
        for (std::size_t j = 0; j < free_.size(); ++j) {
            for (std::size_t k = 0; k <= j; ++k) {
                for (std::size_t i = 0; i < errors.size(); ++i)
                    a[j][k] += weight(errors[i]) * slopes_[j][i] * slopes_[k][i] / kSigma / kSigma;
                a[k][j] = a[j][k];
            }
            a[j][j] += 1;
        }
        return a;
    }

    [[nodiscard]] Row step(const Row& at, const Row& errors, double damping) const {
        Matrix a = curvature(errors);
        Row down(free_.size());
        for (std::size_t j = 0; j < free_.size(); ++j) {
            a[j][j] *= 1 + damping;
            down[j] = -at[j];
            for (std::size_t i = 0; i < errors.size(); ++i)
                down[j] -= weight(errors[i]) * slopes_[j][i] * errors[i] / kSigma / kSigma;
        }
        Row move;
        Row next = at;
        if (!solve(a, down, move)) return next;
        for (std::size_t j = 0; j < free_.size(); ++j) next[j] = held(j, at[j] + move[j]);
        return next;
    }

    /// Inside what can be believed at all.
    [[nodiscard]] double held(std::size_t j, double u) const {
        const CostInfo& info = cost_table()[static_cast<std::size_t>(free_[j])];
        return std::clamp(u, widths_at(free_[j], static_cast<double>(info.least)),
                          widths_at(free_[j], static_cast<double>(info.most)));
    }

    Fit finish(const Row& at, const Row& errors, int rounds) {
        differentiate(at, errors);
        Fit fit;
        fit.rounds = rounds;
        fit.profile = profile_at(at);
        fit.profile.fitted.clear();
        for (const MeasuredCase* c : *cases_)
            if (!c->points.empty())
                add_fitted(fit.profile, {c->collective, c->hosts, c->points.front().size},
                           {c->collective, c->hosts, c->points.back().size});
        const Matrix a = curvature(errors);
        double chi = 0;
        for (const double e : errors) chi += weight(e) * e * e / kSigma / kSigma;
        const double widen = std::sqrt(
            std::max(1.0, chi / static_cast<double>(std::max<std::size_t>(errors.size(), 1))));
        for (std::size_t j = 0; j < free_.size(); ++j) {
            Row unit(free_.size(), 0.0);
            unit[j] = 1;
            Row column;
            const double sd = solve(a, unit, column) ? std::sqrt(column[j]) : 1.0;
            fit.costs.push_back(
                describe(fit.profile, j, at[j], sd, std::min(sd * widen, 1.0), errors));
        }
        describe_points(fit, errors);
        return fit;
    }

    /// Range and origin of one figure; what the data hardly determine is said to be so.
    FittedCost describe(MachineProfile& profile, std::size_t j, double u, double sd, double wide,
                        const Row& errors) const {
        FittedCost f{.cost = free_[j], .determined = sd <= 0.5, .least_size = {}, .most_size = {}};
        Estimate& e = profile.at(free_[j]);
        set_range(e, free_[j], u, wide);
        if (!f.determined) {
            e.from = "hardly determined by these data; NCCL's constant is " +
                     cost_text(free_[j], nccl_tuning_profile()[free_[j]]);
            return f;
        }
        std::vector<std::pair<double, std::size_t>> known;
        double all = 0;
        for (std::size_t i = 0; i < errors.size(); ++i) {
            const double one = weight(errors[i]) * slopes_[j][i] * slopes_[j][i];
            known.emplace_back(-one, i);
            all += one;
        }
        std::sort(known.begin(), known.end());
        double sum = 0;
        for (const auto& [minus, i] : known) {
            if (sum >= 0.9 * all) break;
            sum -= minus;
            const Bytes size = point(i).size;
            if (f.least_size.count() == 0 || size < f.least_size) f.least_size = size;
            f.most_size = std::max(f.most_size, size);
        }
        e.from =
            fmt::format("fit; sizes {} to {}", to_string(f.least_size), to_string(f.most_size));
        return f;
    }

    void describe_points(Fit& fit, const Row& errors) const {
        const std::vector<SimDuration> times = (*simulate_)(fit.profile);
        std::vector<double> sizes;
        for (std::size_t i = 0; i < errors.size(); ++i) {
            const double m = static_cast<double>(point(i).time.ps());
            FittedPoint p{.which = where_[i].first, .point = where_[i].second};
            p.error = (static_cast<double>(times[i].ps()) - m) / m;
            sizes.push_back(std::abs(p.error));
            fit.worst_error = std::max(fit.worst_error, sizes.back());
            fit.points.push_back(p);
        }
        fit.median_error = median(sizes);
        std::sort(sizes.begin(), sizes.end());
        const double most = sizes.empty() ? 0 : sizes[(sizes.size() * 9 - 1) / 10];
        fit.profile.model_error = std::min<std::int64_t>(std::lround(most * 1000), 1000);
        mark_outliers(fit, errors);
    }

    /// A row that stands apart from its neighbours on the curve, more than the curve's rows do.
    void mark_outliers(Fit& fit, const Row& errors) const {
        for (std::size_t begin = 0; begin < errors.size();) {
            std::size_t end = begin;
            while (end < errors.size() && where_[end].first == where_[begin].first) ++end;
            std::vector<double> apart;
            for (std::size_t i = begin; i < end; ++i)
                apart.push_back(apart_from(errors, i, begin, end));
            std::vector<double> far;
            for (const double a : apart) far.push_back(std::abs(a));
            const double scale = 1.4826 * median(far);
            for (std::size_t i = begin; i < end && end - begin >= 5; ++i) {
                FittedPoint& p = fit.points[i];
                p.apart = apart[i - begin];
                p.outlier = std::abs(p.apart) > std::max(kLeastApart, kApartScales * scale);
            }
            begin = end;
        }
    }

    /// Error less the median error of the two rows on either side.
    static double apart_from(const Row& errors, std::size_t i, std::size_t begin, std::size_t end) {
        std::vector<double> near;
        for (std::size_t k = std::max(begin + 2, i) - 2; k < std::min(end, i + 3); ++k)
            if (k != i) near.push_back(errors[k]);
        return errors[i] - median(near);
    }

    const std::vector<const MeasuredCase*>* cases_;
    const Simulate* simulate_;
    MachineProfile start_;
    std::vector<Cost> free_;
    std::vector<std::pair<std::size_t, std::size_t>> where_;
    Matrix slopes_;  // by figure, by point
};

}  // namespace

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Fit fit_profile(const std::vector<const MeasuredCase*>& cases, const Simulate& simulate,
                const MachineProfile& start) {
    return Fitter(cases, simulate, start).run();
}

Fit fit_profile(const std::vector<const MeasuredCase*>& cases, const MachineProfile& start) {
    std::vector<CaseModel> models;
    models.reserve(cases.size());
    for (const MeasuredCase* c : cases) models.emplace_back(*c);
    const Simulate all = [&](const MachineProfile& m) {
        std::vector<SimDuration> times;
        for (const CaseModel& one : models) {
            const std::vector<SimDuration> some = one.times(m);
            times.insert(times.end(), some.begin(), some.end());
        }
        return times;
    };
    return fit_profile(cases, all, start);
}

}  // namespace weft
