#include "simulator/trust/trust.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

#include "base/check.hpp"

namespace weft {
namespace {

constexpr const char* kRest = "the rest of the step";
constexpr std::int64_t kMillion = 1'000'000;

using Key = std::tuple<std::string, std::string, Bytes>;  // family, kind, size
using PartKey = std::pair<std::uint32_t, Collective>;     // family, kind

struct Sums {
    Int128 simulated = 0;
    Int128 measured = 0;
};

SimDuration duration(Int128 ps) {
    return SimDuration{static_cast<std::int64_t>(ps)};
}
Int128 magnitude(Int128 value) {
    return value < 0 ? -value : value;
}

/// Family, kind and size of an op that communicates.
std::tuple<std::uint32_t, Collective, Bytes> traits(const Op& op) {
    if (const auto* c = std::get_if<CollectiveOp>(&op.what)) return {c->family, c->kind, c->size};
    const auto& p = std::get<P2pOp>(op.what);
    return {p.family, Collective::kSendRecv, p.size};
}

class Comparison {
  public:
    Comparison(const Workload& w, const Result& r) : w_(w), r_(r) {
        t_.measured_by = w.measured.source;
        t_.unmatched = w.measured.unmatched;
        t_.simulated_step = r.step_time;
        t_.step_measured = w.measured.step.has_value();
        t_.step = w.measured.step.value_or(r.step_time);
    }

    Trust run(std::int64_t limit_ppm) {
        t_.limit_ppm = limit_ppm;
        add_compute();
        add_collectives();
        add_families();
        if (w_.measured.bubble) add("bubble", r_.bubble, *w_.measured.bubble, true);
        judge();
        return std::move(t_);
    }

  private:
    /// `counts`: the part is one of those that make up the step.
    void add(std::string name, SimDuration simulated, SimDuration measured, bool counts) {
        const Int128 error = Int128{measured.ps()} - simulated.ps();
        if (counts) (error > 0 ? above_ : below_) += error;
        consider(name, error);
        t_.parts.push_back({std::move(name), simulated, measured});
    }
    void consider(const std::string& name, Int128 error) {
        if (magnitude(error) <= magnitude(worst_)) return;
        worst_ = error;
        t_.unexplained = name;
        t_.unexplained_time = duration(error);
    }

    /// Compute ops carry measured times: what the simulation adds is interference and jitter.
    void add_compute() {
        if (!w_.has_compute || !r_.slowest_rank.valid()) return;
        SimDuration in_trace;
        for (const Op& op : w_.programs[w_.program_of[r_.slowest_rank.index()]].ops)
            if (const auto* c = std::get_if<ComputeOp>(&op.what)) in_trace += c->time;
        add(w_.measured.compute ? "compute" : "compute (the trace's)", r_.compute,
            w_.measured.compute.value_or(in_trace), true);
    }

    void find_means() {
        std::map<Key, std::pair<Int128, Int128>> sums;
        for (const CollectiveSummary& c : r_.collectives) {
            auto& [total, count] = sums[{c.family, c.kind, c.size}];
            total += Int128{c.mean_time.ps()} * Int128{c.count};
            count += c.count;
        }
        for (const auto& [key, sum] : sums)
            means_[key] = sum.second == 0 ? 0 : sum.first / sum.second;
    }

    void add_collectives() {
        find_means();
        std::map<PartKey, Sums> most;
        for (const Program& p : w_.programs)
            for (const auto& [key, sums] : sums_of(p))
                if (Sums& best = most[key]; sums.measured > best.measured) best = sums;
        for (const auto& [key, sums] : most) {
            // A measured time in flight, waiting included, says more of what makes up the step.
            const std::string& family = w_.families[key.first].name;
            add(fmt::format("{} {}", family, name_of(key.second)), duration(sums.simulated),
                duration(sums.measured), !has_whole(family));
            compared_.insert(key);
        }
        for (const PartKey& key : seen_)
            if (compared_.count(key) == 0 && !has_whole(w_.families[key.first].name))
                t_.silent.push_back(
                    fmt::format("{} {}", w_.families[key.first].name, name_of(key.second)));
    }

    std::map<PartKey, Sums> sums_of(const Program& p) {
        std::map<PartKey, Sums> all;
        for (const Op& op : p.ops) {
            if (std::holds_alternative<ComputeOp>(op.what)) continue;
            const auto [family, kind, size] = traits(op);
            const auto mean = means_.find({w_.families[family].name, name_of(kind), size});
            if (mean == means_.end()) continue;  // of no bytes, or a group of one
            seen_.insert({family, kind});
            if (op.measured == SimDuration{0}) continue;
            Sums& sums = all[{family, kind}];
            sums.measured += op.measured.ps();
            sums.simulated += mean->second;
        }
        return all;
    }

    [[nodiscard]] bool has_whole(const std::string& family) const {
        const auto& all = w_.measured.families;
        return std::any_of(all.begin(), all.end(), [&](const MeasuredFamily& f) {
            return f.family == family && (f.total || f.exposed);
        });
    }

    void add_families() {
        for (const MeasuredFamily& f : w_.measured.families) {
            FamilyTime simulated;  // a family that the slowest rank never uses takes no time
            for (const FamilyTime& s : r_.families)
                if (s.family == f.family) simulated = s;
            if (f.total) add(f.family + " in flight", simulated.total, *f.total, !f.exposed);
            if (f.exposed) add(f.family + " exposed", simulated.exposed, *f.exposed, true);
        }
    }

    void judge() {
        Int128 miss = above_ + below_;
        if (t_.step_measured) {
            miss = Int128{t_.step.ps()} - r_.step_time.ps();
            const Int128 rest =
                miss > 0 ? std::max<Int128>(miss - above_, 0) : std::min<Int128>(miss - below_, 0);
            consider(kRest, rest);
        }
        const auto within = [&](Int128 error) {
            return magnitude(error) * kMillion <= Int128{t_.limit_ppm} * t_.step.ps();
        };
        t_.verdict = within(miss) && within(worst_) ? Trust::Verdict::kReproduced
                                                    : Trust::Verdict::kNotReproduced;
    }

    const Workload& w_;
    const Result& r_;
    Trust t_;
    std::map<Key, Int128> means_;
    std::set<PartKey> seen_;
    std::set<PartKey> compared_;
    Int128 above_ = 0;  // errors of the parts that make up the step, by sign
    Int128 below_ = 0;
    Int128 worst_ = 0;
};

/// Tenths of a percent, rounded up: "within" must hold.
std::string share(Int128 part, Int128 whole) {
    if (whole <= 0) return "-";
    const auto tenths = static_cast<std::int64_t>(
        std::min<Int128>(ceil_div(magnitude(part) * 1000, whole), 999'990));
    return fmt::format("{}.{} %", tenths / 10, tenths % 10);
}

/// "+12 %": simulated less measured, of the measured.
std::string error_of(const TrustPart& p) {
    const Int128 error = Int128{p.simulated.ps()} - p.measured.ps();
    if (p.measured.ps() == 0) return error == 0 ? "0 %" : to_string(p.simulated) + " simulated, 0";
    const Int128 half = p.measured.ps() / 2;
    const auto percent = static_cast<std::int64_t>(
        std::min<Int128>((magnitude(error) * 100 + half) / p.measured.ps(), 9999));
    return fmt::format("{}{} %", percent == 0 ? "" : error > 0 ? "+" : "-", percent);
}

std::string limit_text(const Trust& t) {
    const std::int64_t tenths = t.limit_ppm / 1'000 % 10;
    return fmt::format("limit {}{} % of the step", t.limit_ppm / 10'000,
                       tenths == 0 ? "" : fmt::format(".{}", tenths));
}

std::string parts_text(const Trust& t) {
    constexpr std::size_t kShown = 6;
    std::vector<const TrustPart*> parts;
    for (const TrustPart& p : t.parts) parts.push_back(&p);
    const auto error = [](const TrustPart* p) {
        return magnitude(Int128{p->measured.ps()} - p->simulated.ps());
    };
    std::stable_sort(parts.begin(), parts.end(),
                     [&](const TrustPart* a, const TrustPart* b) { return error(a) > error(b); });
    std::string out;
    for (std::size_t i = 0; i < std::min(parts.size(), kShown); ++i)
        out += fmt::format("{} {} {}", i == 0 ? ";" : ",", parts[i]->name, error_of(*parts[i]));
    if (parts.size() > kShown) {
        const std::size_t more = parts.size() - kShown;
        out += fmt::format(", {} more part{}", more, more == 1 ? "" : "s");
    }
    if (!t.silent.empty()) out += fmt::format("; not measured: {}", fmt::join(t.silent, ", "));
    if (!t.unmatched.empty())
        out += fmt::format(
            "; measured but not in the workload: {}{}", t.unmatched.front(),
            t.unmatched.size() == 1 ? "" : fmt::format(" and {} more", t.unmatched.size() - 1));
    return out;
}

}  // namespace

bool has_measured_times(const Workload& w) {
    const Measured& m = w.measured;
    if (m.step || m.compute || m.bubble || !m.families.empty()) return true;
    for (const Program& p : w.programs)
        for (const Op& op : p.ops)
            if (op.measured > SimDuration{0}) return true;
    return false;
}

Trust compare(const Workload& w, const Result& r, std::int64_t limit_ppm) {
    WEFT_CHECK(limit_ppm >= 0, "a limit of {} millionths", limit_ppm);
    if (!has_measured_times(w)) return {};
    return Comparison(w, r).run(limit_ppm);
}

std::string trust_line(const Trust& t) {
    if (t.verdict == Trust::Verdict::kNothingMeasured) return {};
    const bool good = t.verdict == Trust::Verdict::kReproduced;
    if (!t.step_measured)
        return fmt::format(
            "{} your measured times, largest miss {} of the step ({} simulated, no "
            "step measured){}{}",
            good ? "reproduces" : "does NOT reproduce", share(t.unexplained_time.ps(), t.step.ps()),
            to_string(t.simulated_step), good ? "" : "; " + limit_text(t), parts_text(t));
    const Int128 miss = Int128{t.simulated_step.ps()} - t.step.ps();
    const bool step_good = magnitude(miss) * kMillion <= Int128{t.limit_ppm} * t.step.ps();
    const std::string both =
        fmt::format("({} simulated, {} measured)", to_string(t.simulated_step), to_string(t.step));
    if (step_good)
        return fmt::format("reproduces your measured step within {} {}{}{}",
                           share(miss, t.step.ps()), both,
                           good ? "" : ", but NOT its parts; " + limit_text(t), parts_text(t));
    return fmt::format("does NOT reproduce your measured step: {} too {} {}; {}{}",
                       share(miss, t.step.ps()), miss > 0 ? "slow" : "fast", both, limit_text(t),
                       parts_text(t));
}

std::string weak_line(const Trust& t) {
    constexpr std::int64_t kMatters = 10'000;  // a hundredth of the step
    if (t.verdict != Trust::Verdict::kReproduced) return {};
    const TrustPart* worst = nullptr;
    Int128 most = 0;
    for (const TrustPart& p : t.parts) {
        const Int128 error = magnitude(Int128{p.simulated.ps()} - p.measured.ps());
        if (error * kMillion <= Int128{kMatters} * t.step.ps() || error <= most ||
            error * kMillion <= Int128{t.limit_ppm} * p.measured.ps())
            continue;
        worst = &p;
        most = error;
    }
    if (worst == nullptr) return {};
    return fmt::format(
        "the measured step is reproduced as a whole, but not {} ({} simulated, {} measured): where "
        "that weighs more than in the measured job, this prediction misses by more",
        worst->name, to_string(worst->simulated), to_string(worst->measured));
}

std::string unexplained_line(const Trust& t) {
    if (t.unexplained.empty()) return "no part of it misses";
    const std::int64_t ps = t.unexplained_time.ps();
    return fmt::format(
        "largest unexplained part: {}, measured {} {} than simulated ({} of the "
        "step){}",
        t.unexplained, to_string(SimDuration{ps < 0 ? -ps : ps}), ps < 0 ? "less" : "more",
        share(ps, t.step.ps()), t.unexplained == kRest ? ", in no part that was measured" : "");
}

}  // namespace weft
