// What the kernels of one step say about what waited for what.
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

#include "base/result.hpp"
#include "traces/kineto/kineto.hpp"
#include "traces/program_builder.hpp"

namespace weft::kineto {
namespace {

struct Span {
    std::int64_t start = 0;
    std::int64_t end = 0;
};

/// Sorted, apart from each other, none empty.
std::vector<Span> joined(std::vector<Span> spans) {
    std::sort(spans.begin(), spans.end(),
              [](const Span& a, const Span& b) { return a.start < b.start; });
    std::vector<Span> out;
    for (const Span& s : spans) {
        if (s.end <= s.start) continue;
        if (!out.empty() && s.start <= out.back().end)
            out.back().end = std::max(out.back().end, s.end);
        else
            out.push_back(s);
    }
    return out;
}

/// What `whole` holds besides `out`, which is joined.
std::vector<Span> without(Span whole, const std::vector<Span>& out) {
    std::vector<Span> rest;
    std::int64_t at = whole.start;
    for (const Span& s : out) {
        if (s.start > at) rest.push_back({at, std::min(s.start, whole.end)});
        at = std::max(at, s.end);
        if (at >= whole.end) break;
    }
    if (at < whole.end) rest.push_back({at, whole.end});
    return joined(rest);
}

std::int64_t length(const std::vector<Span>& spans) {
    std::int64_t sum = 0;
    for (const Span& s : spans) sum += s.end - s.start;
    return sum;
}

std::int64_t overlap(const std::vector<Span>& a, const std::vector<Span>& b) {
    std::int64_t sum = 0;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        sum += std::max<std::int64_t>(
            0, std::min(a[i].end, b[j].end) - std::max(a[i].start, b[j].start));
        ++(a[i].end < b[j].end ? i : j);
    }
    return sum;
}

class Scheduler {
  public:
    Scheduler(const Trace& t, std::string file, const LoadOptions& options)
        : t_(t), file_(std::move(file)) {
        set_world(options);
        choose_step();
        for (const Kernel& k : t.kernels)
            if (k.start >= step_.start && k.start < step_.end)
                (k.comm ? comms_ : computes_).push_back(&k);
    }

    Workload run() {
        find_waits();
        w_.name = std::filesystem::path(file_).filename().string();
        w_.world = world_;
        w_.program_of.assign(world_, 0);
        w_.programs.push_back(make_program());
        measure();
        state();
        return std::move(w_);
    }

  private:
    [[noreturn]] void reject(const std::string& key, const std::string& found,
                             const std::string& expected, const std::string& example = {}) const {
        throw ConfigError({.file = file_,
                           .line = 0,
                           .key = key,
                           .found = printable(found, 120),
                           .expected = expected,
                           .example = example});
    }

    void set_world(const LoadOptions& options) {
        world_ = t_.world != 0 ? t_.world : options.gpus;
        if (world_ == 0)
            reject("distributedInfo", "no world size",
                   "distributedInfo with rank and world_size, or --gpus", "--gpus 64");
        if (options.gpus != 0 && options.gpus != world_)
            reject("distributedInfo.world_size", std::to_string(world_),
                   fmt::format("{} as --gpus says: the groups of a trace are fixed", options.gpus));
    }

    /// From a step's first event to the next one's; of several the one of median length.
    void choose_step() {
        const std::vector<Step>& s = t_.steps;
        std::int64_t last = 0;
        for (const Kernel& k : t_.kernels) last = std::max(last, k.end);
        if (s.size() < 2) {
            const std::int64_t first = s.empty() ? t_.kernels.front().start : s[0].start;
            step_ = {first, std::max(last, first)};
            step_name_ = s.empty() ? "the whole trace" : s[0].name;
        } else {
            std::vector<std::size_t> order(s.size() - 1);
            for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
            const auto lasts = [&](std::size_t i) { return s[i + 1].start - s[i].start; };
            std::stable_sort(order.begin(), order.end(),
                             [&](std::size_t a, std::size_t b) { return lasts(a) < lasts(b); });
            const std::size_t chosen = order[(order.size() - 1) / 2];
            step_ = {s[chosen].start, s[chosen + 1].start};
            step_name_ = s[chosen].name;
        }
        constexpr std::int64_t kLongest = std::int64_t{30} * 86'400 * 1'000'000'000;
        if (step_.end == step_.start)
            reject("traceEvents", step_name_ + " takes no time", "a step with kernels");
        if (step_.end - step_.start > kLongest)
            reject("traceEvents", step_name_ + " takes more than 30 days",
                   "one clock for all events");
    }

    /// The GPU computes nothing, then resumes when a collective has ended: it waited for that one.
    void find_waits() {
        std::vector<Span> busy;
        for (const Kernel* k : computes_) busy.push_back({k->start, std::min(k->end, step_.end)});
        busy = joined(std::move(busy));
        kernels_ns_ = length(busy);
        const std::vector<Span> gaps = without(step_, busy);
        std::vector<Span> waits;
        for (const Kernel* k : comms_) {
            // The last gap that begins before the collective ends.
            const auto after =
                std::lower_bound(gaps.begin(), gaps.end(), k->end,
                                 [](const Span& g, std::int64_t end) { return g.start < end; });
            const bool waited = after != gaps.begin() && k->end <= std::prev(after)->end;
            waited_.push_back(waited);
            if (waited) waits.push_back({std::max(k->start, std::prev(after)->start), k->end});
        }
        lane_ = without(step_, joined(std::move(waits)));
    }

    /// Pieces of compute, cut where a collective starts.
    [[nodiscard]] std::vector<Span> pieces() const {
        std::vector<Span> out;
        std::size_t next = 0;
        for (const Span& s : lane_) {
            std::int64_t at = s.start;
            while (next < comms_.size() && comms_[next]->start < s.end) {
                const std::int64_t cut = comms_[next++]->start;
                if (cut <= at) continue;
                out.push_back({at, cut});
                at = cut;
            }
            out.push_back({at, s.end});
        }
        return out;
    }

    Program make_program() {
        ProgramBuilder out(fmt::format("as rank {}", t_.rank));
        const std::vector<Span> computes = pieces();
        std::size_t comm = 0;
        for (const Span& s : computes) {
            while (comm < comms_.size() && comms_[comm]->start <= s.start) add_comm(out, comm++);
            out.at("compute", -1, Phase::kForward);
            std::vector<std::uint32_t> after = awaited(s.start, true);
            after.insert(after.end(), last_.begin(), last_.end());
            last_ = {out.add(ComputeOp{ns(s.end - s.start)}, std::move(after))};
        }
        while (comm < comms_.size()) add_comm(out, comm++);
        return out.take();
    }

    void add_comm(ProgramBuilder& out, std::size_t index) {
        const Kernel& k = *comms_[index];
        std::vector<std::uint32_t> after = awaited(k.start, false);
        after.insert(after.end(), last_.begin(), last_.end());
        out.at(k.comm->name, -1, Phase::kForward);
        const std::uint32_t op = out.add(CollectiveOp{k.comm->kind, family(*k.comm), k.comm->size},
                                         std::move(after), ns(k.end - k.start));
        if (waited_[index]) pending_.emplace_back(k.end, op);
    }

    /// Collectives that have ended by `now` and that the next compute waits for.
    std::vector<std::uint32_t> awaited(std::int64_t now, bool consume) {
        std::vector<std::uint32_t> ops;
        for (const auto& [end, op] : pending_)
            if (end <= now) ops.push_back(op);
        if (consume)
            pending_.erase(std::remove_if(pending_.begin(), pending_.end(),
                                          [&](const auto& p) { return p.first <= now; }),
                           pending_.end());
        return ops;
    }

    std::uint32_t family(const Comm& c) {
        const auto key = std::tuple(c.group, c.description, c.group_size, c.ranks.listed);
        const auto next = static_cast<std::uint32_t>(w_.families.size());
        const auto [entry, fresh] = families_.try_emplace(key, next);
        if (!fresh) return entry->second;
        torch::Ranks ranks = c.ranks;
        if (ranks.listed.empty() && c.group_size == world_) ranks = {{0, 1}, true, {}};
        const auto rule = torch::rule_of(ranks, c.group_size, t_.rank, world_);
        if (!rule)
            reject("Process Group Ranks",
                   fmt::format("{} ranks of group {}: {}", c.group_size, c.group,
                               fmt::join(c.ranks.listed, " ")),
                   fmt::format("evenly spaced ranks that hold rank {} and repeat over the world "
                               "of {}",
                               t_.rank, world_));
        w_.families.push_back({name_of_group(c), *rule});
        return next;
    }

    std::string name_of_group(const Comm& c) {
        const bool plain = c.description.empty() || c.description == "undefined";
        std::string name = printable(plain ? "group " + c.group : c.description, 40);
        if (!names_.insert(name).second) name += fmt::format(" ({})", names_.size());
        names_.insert(name);
        return name;
    }

    void measure() {
        w_.measured.step = ns(step_.end - step_.start);
        w_.measured.source = fmt::format("the trace, {} of rank {}", step_name_, t_.rank);
        std::vector<std::vector<Span>> in_flight(w_.families.size());
        for (const Kernel* k : comms_) in_flight[family(*k->comm)].push_back({k->start, k->end});
        for (std::size_t f = 0; f < in_flight.size(); ++f) {
            const std::vector<Span> spans = joined(in_flight[f]);
            const std::int64_t total = length(spans);
            w_.measured.families.push_back(
                {w_.families[f].name, ns(total), ns(total - overlap(spans, lane_))});
        }
    }

    void state() {
        const std::int64_t compute = length(lane_);
        w_.has_compute = compute > 0;
        auto& a = w_.assumptions;
        a.push_back(fmt::format("every rank runs what rank {} ran in {}", t_.rank, step_name_));
        a.push_back(
            fmt::format("of {} of compute the GPU ran kernels for {}; the rest is launches "
                        "and the host, kept as it was",
                        to_string(ns(compute)), to_string(ns(kernels_ns_))));
        a.push_back(
            "compute that resumes once a collective has ended, after the GPU computed "
            "nothing, waited for it; a collective starts after the compute before it");
        a.push_back("measured durations of collectives include waiting for other ranks");
        if (!t_.steps_on_gpu && !t_.steps.empty())
            a.push_back("steps are cut where the host began them: the GPU runs behind");
    }

    const Trace& t_;
    std::string file_;
    Workload w_;
    std::uint32_t world_ = 0;
    Span step_;
    std::string step_name_;
    std::vector<const Kernel*> comms_;  // by start, as the kernels are
    std::vector<const Kernel*> computes_;
    std::vector<bool> waited_;  // beside comms_
    std::vector<Span> lane_;    // when the rank computes
    std::int64_t kernels_ns_ = 0;
    std::vector<std::uint32_t> last_;  // the latest compute, or none
    std::vector<std::pair<std::int64_t, std::uint32_t>> pending_;
    std::map<std::tuple<std::string, std::string, std::uint32_t, std::vector<std::uint32_t>>,
             std::uint32_t>
        families_;
    std::set<std::string> names_;
};

}  // namespace

Workload make_workload(const Trace& t, const std::string& file, const LoadOptions& options) {
    return Scheduler(t, file, options).run();
}

}  // namespace weft::kineto
