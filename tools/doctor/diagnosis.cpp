#include "tools/doctor/diagnosis.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "base/result.hpp"
#include "collectives/runtime/agreement.hpp"
#include "collectives/runtime/data_type.hpp"

namespace weft::tools {

namespace {

using live::Absent;
using live::OperationHead;
using live::RankReport;
using Group = RankReport::Group;

const Group* group_of(const RankReport& report, live::ContextId context) {
    for (const Group& g : report.groups)
        if (g.context == context) return &g;
    return nullptr;
}

std::string some(const std::vector<std::uint32_t>& ranks) {
    constexpr std::size_t kMost = 8;
    std::string text = ranks.size() == 1 ? "rank " : "ranks ";
    for (std::size_t i = 0; i < std::min(ranks.size(), kMost); ++i)
        text += fmt::format("{}{}", i == 0 ? "" : ", ", ranks[i]);
    if (ranks.size() > kMost) text += fmt::format(" and {} more", ranks.size() - kMost);
    return text;
}

Ailment ailment_of(Absent::Why why) {
    switch (why) {
        case Absent::Why::kLate:
            return Ailment::kLate;
        case Absent::Why::kElsewhere:
            return Ailment::kElsewhere;
        case Absent::Why::kSilent:
            return Ailment::kSilent;
        case Absent::Why::kLeft:
            return Ailment::kLeft;
        case Absent::Why::kDead:
            return Ailment::kDead;
        case Absent::Why::kUnknown:
            break;
    }
    return Ailment::kUnknown;
}

/// What a rank of this host is in that has not begun the operation, by its own report.
Symptom whereabouts(const Patient& p, live::ContextId context) {
    const RankReport& r = *p.report;
    Symptom f{.rank = p.rank};
    const RankReport::Operation* oldest = nullptr;
    const Group* within = nullptr;
    for (const Group& g : r.groups)
        for (const RankReport::Operation& o : g.under_way)
            if (!oldest || o.begun_ms > oldest->begun_ms) {
                oldest = &o;
                within = &g;
            }
    if (oldest) {
        f.ailment = Ailment::kElsewhere;
        f.words =
            fmt::format("in another collective: in {} for {:.1f} s", live::describe(oldest->head),
                        static_cast<double>(oldest->begun_ms) * 1e-3);
        if (!within->waits_for.empty()) f.words += ", where " + printable(within->waits_for, 300);
        return f;
    }
    const Group* g = group_of(r, context);
    std::uint64_t idle = r.age_ms;
    for (const Group& any : r.groups) idle = std::min(idle, any.idle_ms);
    const bool computes = p.busy >= 0.5 || (p.busy < 0 && p.state == 'R');
    f.ailment = computes ? Ailment::kCompute : Ailment::kLate;
    f.words = fmt::format("{}: in no operation for {:.1f} s", computes ? "in compute" : "late",
                          static_cast<double>(idle) * 1e-3);
    if (p.busy >= 0)
        f.words += fmt::format(", its threads are busy {:.0f} % of the time", 100 * p.busy);
    if (g && g->finished > 0)
        f.words += fmt::format("; last finished operation {}", g->finished);
    else
        f.words += "; has finished no operation of it";
    return f;
}

/// A process that says nothing.
Symptom silence(const Patient& p) {
    Symptom f{.rank = p.rank, .ailment = Ailment::kSilent, .words = {}};
    if (p.state == 'T' || p.state == 't') {
        f.ailment = Ailment::kStopped;
        f.words = p.state == 'T' ? "stopped by a signal (state T): kill -CONT would let it go on"
                                 : "stopped by a debugger (state t)";
    } else if (p.state == 'X' || p.state == 'Z') {
        f.ailment = Ailment::kDead;
        f.words = "dead: its process has ended, and a child of it holds its sockets";
    } else {
        f.words = printable(p.why, 200);
    }
    return f;
}

class Examiner {
  public:
    Examiner(const std::vector<Patient>& patients, double after)
        : patients_(patients), after_ms_(after * 1e3) {}
    Diagnosis examine();

  private:
    [[nodiscard]] const Patient* at(std::uint32_t rank) const {
        for (const Patient& p : patients_)
            if (p.rank == rank) return &p;
        return nullptr;
    }
    void look_at_processes();
    void look_at(live::ContextId context);
    void look_at_lanes();
    void find_roots();
    [[nodiscard]] std::set<std::uint32_t> members(live::ContextId context) const;
    [[nodiscard]] std::optional<Standstill> standstill(live::ContextId context);
    [[nodiscard]] std::optional<Symptom> missing(const OperationHead& head, std::uint32_t rank);
    [[nodiscard]] std::optional<Symptom> hearsay(const OperationHead& head,
                                                 std::uint32_t rank) const;

    const std::vector<Patient>& patients_;
    double after_ms_;
    Diagnosis out_;
    std::map<std::uint32_t, Symptom> ends_;  // dead or stopped, for whatever operation
};

Diagnosis Examiner::examine() {
    std::set<live::ContextId> contexts;
    for (const Patient& p : patients_) {
        out_.here += p.report || p.process > 0 ? 1 : 0;
        if (!p.report) continue;
        out_.job = p.report->job;
        out_.ranks = p.report->ranks;
        for (const Group& g : p.report->groups) contexts.insert(g.context);
    }
    look_at_processes();
    for (const live::ContextId c : contexts) look_at(c);
    look_at_lanes();
    find_roots();
    return std::move(out_);
}

void Examiner::look_at_processes() {
    for (const Patient& p : patients_)
        if (!p.report) ends_.emplace(p.rank, silence(p));
    for (const Patient& p : patients_) {
        if (!p.report) continue;
        if (p.report->homes.empty())
            out_.remarks.push_back(fmt::format("rank {} waits for the meeting, for {:.1f} s",
                                               p.rank,
                                               static_cast<double>(p.report->age_ms) * 1e-3));
        if (!p.report->engine)
            out_.remarks.push_back(
                fmt::format("rank {} was too busy to say what its lanes do", p.rank));
        for (const RankReport::Gone& g : p.report->gone)
            if (!g.left && !at(g.rank))
                ends_.emplace(g.rank, Symptom{.rank = g.rank,
                                              .ailment = Ailment::kDead,
                                              .words = "dead: " + printable(g.what, 200)});
    }
    for (const auto& [rank, finding] : ends_) out_.unwell.push_back(finding);
}

std::set<std::uint32_t> Examiner::members(live::ContextId context) const {
    std::set<std::uint32_t> out;
    for (const Patient& p : patients_) {
        const Group* g = p.report ? group_of(*p.report, context) : nullptr;
        if (!g) continue;
        out.insert(p.rank);
        for (const live::net::Range& range : g->members)
            for (std::uint32_t i = 0; i < range.count; ++i) out.insert(range.first + i);
    }
    return out;
}

std::optional<Symptom> Examiner::hearsay(const OperationHead& head, std::uint32_t rank) const {
    for (const Patient& p : patients_) {
        const Group* g = p.report ? group_of(*p.report, head.context) : nullptr;
        if (!g || g->under_way.empty()) continue;
        if (g->under_way.front().head.operation != head.operation) continue;
        for (const Absent& a : g->absent)
            if (a.rank == rank)
                return Symptom{.rank = rank,
                               .ailment = ailment_of(a.why),
                               .words = printable(live::whereabouts(a), 300)};
    }
    return std::nullopt;
}

/// Why a member is not in the operation; nothing if it is, or may be.
std::optional<Symptom> Examiner::missing(const OperationHead& head, std::uint32_t rank) {
    const Patient* p = at(rank);
    if (p && p->report) {
        const Group* g = group_of(*p->report, head.context);
        if (g && g->newest >= head.operation) return std::nullopt;
        return whereabouts(*p, head.context);
    }
    const auto end = ends_.find(rank);
    if (end != ends_.end()) return end->second;
    return hearsay(head, rank);
}

/// The first operation of a communicator in which somebody stands still.
std::optional<Standstill> Examiner::standstill(live::ContextId context) {
    std::optional<Standstill> out;
    for (const Patient& p : patients_) {
        const Group* g = p.report ? group_of(*p.report, context) : nullptr;
        if (!g || g->under_way.empty()) continue;
        const RankReport::Operation& o = g->under_way.front();
        if (static_cast<double>(o.still_ms) < after_ms_) {
            if (static_cast<double>(o.begun_ms) >= after_ms_)
                out_.remarks.push_back(fmt::format(
                    "rank {}: {} has been under way for {:.1f} s, "
                    "and moves",
                    p.rank, live::describe(o.head), static_cast<double>(o.begun_ms) * 1e-3));
            continue;
        }
        if (!out || o.head.operation < out->head.operation) out = Standstill{.head = o.head};
    }
    return out;
}

void Examiner::look_at(live::ContextId context) {
    std::vector<std::uint32_t> broken;
    std::string why;
    for (const Patient& p : patients_) {
        const Group* g = p.report ? group_of(*p.report, context) : nullptr;
        if (!g || g->broken.empty()) continue;
        broken.push_back(p.rank);
        if (why.empty()) why = printable(g->broken, 300);
    }
    if (!broken.empty())
        out_.remarks.push_back(
            fmt::format("communicator {} is broken at {}: {}", context, some(broken), why));
    auto found = standstill(context);
    if (!found) return;
    for (const Patient& p : patients_) {
        const Group* g = p.report ? group_of(*p.report, context) : nullptr;
        if (!g || g->newest < found->head.operation) continue;
        found->begun.push_back(p.rank);
        if (g->under_way.empty() || g->under_way.front().head.operation != found->head.operation)
            continue;
        const double s = static_cast<double>(g->under_way.front().still_ms) * 1e-3;
        found->seconds = std::max(found->seconds, s);
        std::string what = printable(g->waits_for, 300);
        if (!g->attended) what += what.empty() ? "no thread moves it" : "; no thread moves it";
        if (!what.empty()) found->waits.emplace_back(p.rank, what);
    }
    for (const std::uint32_t m : members(context))
        if (auto f = missing(found->head, m)) found->missing.push_back(std::move(*f));
    out_.standstills.push_back(std::move(*found));
}

void Examiner::look_at_lanes() {
    for (const Patient& p : patients_) {
        if (!p.report) continue;
        for (const RankReport::SlowLane& l : p.report->lanes) {
            const std::string way = fmt::format("rank {}: lane {} to rank {} (rail {}, plane {})",
                                                p.rank, l.lane, l.peer, l.rail, l.plane);
            if (!l.up)
                out_.remarks.push_back(way + " is down");
            else
                out_.remarks.push_back(fmt::format("{} is slow: {:.1f} MB/s, the best {:.1f}", way,
                                                   static_cast<double>(l.rate) * 1e-6,
                                                   static_cast<double>(l.best) * 1e-6));
        }
    }
}

void Examiner::find_roots() {
    std::set<std::uint32_t> waiting;
    std::set<std::uint32_t> awaited;
    for (const Standstill& s : out_.standstills) {
        for (const std::uint32_t r : s.begun) waiting.insert(r);
        for (const Symptom& f : s.missing) awaited.insert(f.rank);
    }
    for (const std::uint32_t r : awaited)
        if (waiting.count(r) == 0) out_.roots.push_back(r);
    out_.circle = !awaited.empty() && out_.roots.empty();
}

/// "rank 3 (process 123, host a)".
std::string who(std::uint32_t rank, const std::vector<Patient>& patients) {
    std::string process;
    std::string host;
    for (const Patient& p : patients) {
        if (p.rank == rank && p.process > 0) process = fmt::format("process {}", p.process);
        if (!p.report || p.report->homes.size() <= rank) continue;
        const RankReport::Home& home = p.report->homes[rank];
        host = "host " + printable(home.host);
        if (process.empty()) process = fmt::format("process {}", home.process);
    }
    if (process.empty() && host.empty()) return fmt::format("rank {}", rank);
    return fmt::format("rank {} ({}{}{})", rank, process,
                       process.empty() || host.empty() ? "" : ", ", host);
}

std::string what(const OperationHead& head) {
    const auto type = static_cast<live::DataType>(head.dtype);
    const std::string count = fmt::format("{} x {}", head.count, live::name_of(type));
    return fmt::format("{} ({})", live::describe(head), count);
}

}  // namespace

const char* name_of(Ailment a) {
    switch (a) {
        case Ailment::kDead:
            return "dead";
        case Ailment::kLeft:
            return "left";
        case Ailment::kStopped:
            return "stopped";
        case Ailment::kSilent:
            return "silent";
        case Ailment::kElsewhere:
            return "elsewhere";
        case Ailment::kCompute:
            return "compute";
        case Ailment::kLate:
            return "late";
        case Ailment::kUnknown:
            break;
    }
    return "unknown";
}

Diagnosis diagnose(const std::vector<Patient>& patients, double after) {
    return Examiner(patients, after).examine();
}

std::vector<std::string> in_words(const Diagnosis& d, const std::vector<Patient>& patients) {
    constexpr std::size_t kMostWaits = 3;
    std::vector<std::string> out;
    std::set<std::uint32_t> named;
    for (const Standstill& s : d.standstills) {
        out.push_back(fmt::format("{} has stood still for {:.1f} s, begun by {}", what(s.head),
                                  s.seconds, some(s.begun)));
        for (const Symptom& f : s.missing) {
            out.push_back(fmt::format("  {} has not arrived: {}", who(f.rank, patients), f.words));
            named.insert(f.rank);
        }
        if (s.missing.empty()) out.emplace_back("  all ranks that are known of have arrived");
        for (std::size_t i = 0; i < std::min(s.waits.size(), kMostWaits); ++i)
            out.push_back(fmt::format("  rank {} waits: {}", s.waits[i].first, s.waits[i].second));
        if (s.waits.size() > kMostWaits)
            out.push_back(fmt::format("  and {} more wait", s.waits.size() - kMostWaits));
    }
    for (const Symptom& f : d.unwell)
        if (named.count(f.rank) == 0)
            out.push_back(fmt::format("{}: {}", who(f.rank, patients), f.words));
    if (!d.roots.empty()) out.push_back("in the end all wait for " + some(d.roots));
    if (d.circle)
        out.emplace_back(
            "ranks wait for each other: they call their collectives in different orders");
    for (const std::string& r : d.remarks) out.push_back(r);
    if (d.well()) out.emplace_back("nobody is stuck");
    return out;
}

}  // namespace weft::tools
