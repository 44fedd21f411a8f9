#include "simulator/execute/machine.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.hpp"
#include "base/result.hpp"

namespace weft {
namespace {

constexpr std::uint64_t kProgressSteps = 200;
/// Times stay far from the 106 days that 63 bits of picoseconds hold.
constexpr Int128 kMostPs = Int128{90} * 86'400 * 1'000'000'000'000;

}  // namespace

Machine::Machine(const MachineInput& in, Carrier& carrier) : in_(in), carrier_(&carrier) {
    const flow::Quotient& q = *in_.quotient;
    const std::vector<std::uint32_t>& program_of = in_.workload->source->program_of;
    for (const flow::RankClass& c : q.ranks) {
        const CompiledProgram& p = in_.workload->programs[program_of[c.first.index()]];
        const Scenario& s = *in_.scenario;
        Rank& r = ranks_.emplace_back(Rank{&p, {s.jitter, s.seed, c.first.value()}});
        for (const CompiledOp& op : p.ops) r.waits_for.push_back(op.waits_for);
        r.head = p.queue_heads;
        r.times.resize(p.ops.size());
        r.left = p.ops.size();
        all_ops_ += p.ops.size();
    }
    for (const auto& set : q.groups) groups_.emplace_back(set.size());
    for (const Exchange& e : in_.workload->exchanges)
        stats_.emplace_back(in_.universe->sets[e.set].traffic.size());
}

std::uint16_t Machine::variant(GroupRef g) const {
    return in_.variant[groups_[g.set][g.id].exchange][group_class(g).first];
}

const flow::Traffic* Machine::traffic(GroupRef g) const {
    return in_.universe->sets[g.set].traffic[variant(g)][group_class(g).first].get();
}

void Machine::make_ready(flow::ClassId rank, std::uint32_t op) {
    const Rank& r = ranks_[rank];
    if (r.waits_for[op] == 0 && r.head[r.program->ops[op].queue] == op)
        ready_.emplace_back(rank, op);
}

void Machine::start_all() {
    for (flow::ClassId c = 0; c < ranks_.size(); ++c)
        for (const std::uint32_t op : ranks_[c].head)
            if (op != kNoOp) make_ready(c, op);
}

void Machine::drain_ready() {
    while (!ready_.empty()) {
        const auto [rank, op] = ready_.back();
        ready_.pop_back();
        start_op(rank, op);
    }
}

void Machine::start_op(flow::ClassId rank, std::uint32_t op) {
    ranks_[rank].times[op].ready = now_;
    const CompiledOp& o = ranks_[rank].program->ops[op];
    if (o.kind != CompiledOp::Kind::kCompute) return arrive(rank, o);
    const SimDuration time = work(rank, op);
    if (time.ps() == 0) return finish_op(rank, op, now_);
    ranks_[rank].computing = {.on = true, .left = time, .since = now_, .ends = {}, .rate = {}};
    compute_at_rate_of_now(rank);
}

void Machine::compute_at_rate_of_now(flow::ClassId rank) {
    Computing& c = ranks_[rank].computing;
    c.rate = slowdown(in_.scenario->overlap, ranks_[rank].pressure);
    const Int128 at = now_.ps() + ceil_div(Int128{c.left.ps()} * c.rate.num, c.rate.den);
    if (at > kMostPs)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "overlap",
                           .found = to_string(in_.scenario->overlap),
                           .expected = "at worst 90 days of compute in a step",
                           .example = {}});
    const SimTime ends{static_cast<std::int64_t>(at)};
    if (ends == c.ends) return;  // that event is on its way
    c.ends = ends;
    events_.push({ends, EventKind::kComputeEnds, 0, rank});
}

/// An event of an earlier rate falls at another time than the op's end, and means nothing.
void Machine::end_compute(flow::ClassId rank) {
    Computing& c = ranks_[rank].computing;
    if (!c.on || c.ends != now_) return;
    c.on = false;
    const std::uint32_t op = ranks_[rank].head[0];
    finish_op(rank, op, ranks_[rank].times[op].ready);
}

/// Adds to (or, wrapped around, takes from) what communicates on a rank, and changes the rate of
/// what it computes. Work done is rounded down, so that an op never ends early.
void Machine::press(flow::ClassId rank, std::uint32_t arrived, std::uint32_t moving) {
    if (in_.scenario->overlap.model == OverlapModel::kIdeal) return;
    Rank& r = ranks_[rank];
    r.pressure.arrived += arrived;
    r.pressure.moving += moving;
    Computing& c = r.computing;
    if (!c.on) return;
    const Int128 done = Int128{(now_ - c.since).ps()} * c.rate.den / c.rate.num;
    c.left -= SimDuration{static_cast<std::int64_t>(done)};
    c.since = now_;
    compute_at_rate_of_now(rank);
}

template <class Visit>
void Machine::each_member(GroupRef ref, const Visit& visit) {
    const std::vector<flow::ClassId>& members = group_class(ref).members;
    if (in_.universe->sets[ref.set].ordered) {
        visit(members[0], queue_of_set(ref.set));
        visit(members[1], queue_of_set(ref.set, true));
        return;
    }
    for (auto i = members.begin(); i != members.end(); ++i)
        if (std::find(members.begin(), i, *i) == i) visit(*i, queue_of_set(ref.set));
}

bool Machine::moves_bytes(GroupRef ref) const {
    const Group& g = groups_[ref.set][ref.id];
    return in_.workload->exchanges[g.exchange].size.count() > 0 &&
           group_class(ref).members.size() > 1;
}

void Machine::arrive(flow::ClassId rank, const CompiledOp& op) {
    const std::uint32_t set = in_.workload->exchanges[op.exchange].set;
    const flow::RankClass& c = in_.quotient->ranks[rank];
    const bool receive = op.kind == CompiledOp::Kind::kReceive;
    const GroupRef ref{set, receive ? c.received[set] : c.group[set]};
    WEFT_CHECK(ref.id != flow::kNoClass, "rank {} has no partner", c.first.value());
    Group& g = group(ref);
    if (g.arrived > 0 && g.exchange != op.exchange) complain();
    g.exchange = op.exchange;
    const flow::GroupClass& cls = group_class(ref);
    if (moves_bytes(ref)) press(rank, 1, 0);
    if (op.kind == CompiledOp::Kind::kCollective)
        g.arrived +=
            static_cast<std::uint64_t>(std::count(cls.members.begin(), cls.members.end(), rank));
    else
        ++g.arrived;
    if (g.arrived == cls.members.size()) begin(ref);
}

void Machine::begin(GroupRef ref) {
    Group& g = group(ref);
    g.arrived = 0;
    g.start = now_;
    if (!moves_bytes(ref)) return end_group(ref);
    if (in_.scenario->overlap.model != OverlapModel::kIdeal)
        each_member(ref, [&](flow::ClassId c, std::uint32_t) { press(c, 0, 1); });
    const Bytes size = in_.workload->exchanges[g.exchange].size;
    g.price = endpoint_price(*in_.scenario, *traffic(ref), size, lane_epoch(),
                             in_.protocol[ref.set][variant(ref)]);
    events_.push({now_ + carrier_->before(g.price), EventKind::kBytesBegin, ref.set, ref.id});
}

void Machine::begin_bytes(GroupRef ref) {
    const Group& g = group(ref);
    const Bytes size = in_.workload->exchanges[g.exchange].size;
    carrier_->start({ref, group_class(ref).first, variant(ref), size, g.price}, now_);
}

/// Adds the run that ends now to its exchange: its time, and how long each member had waited.
void Machine::count_run(GroupRef ref) {
    const Group& g = group(ref);
    const flow::GroupClass& cls = group_class(ref);
    const SimDuration took = now_ - g.start;
    ExchangeStats run{.count = cls.count,
                      .total_ps = Int128{took.ps()} * cls.count,
                      .least = took,
                      .most = took,
                      .waiting_ps = 0,
                      .longest_wait = {}};
    const bool ordered = in_.universe->sets[ref.set].ordered;
    for (std::size_t i = 0; i < cls.members.size(); ++i) {
        const Rank& r = ranks_[cls.members[i]];
        const std::uint32_t op = r.head[queue_of_set(ref.set, ordered && i == 1)];
        const SimDuration waited = g.start - r.times[op].ready;
        run.waiting_ps += Int128{waited.ps()} * cls.count;
        run.longest_wait = std::max(run.longest_wait, waited);
    }
    stats_[g.exchange][variant(ref)].add(run);
}

void Machine::end_group(GroupRef ref) {
    count_run(ref);
    const SimTime start = group(ref).start;
    const std::uint32_t less = moves_bytes(ref) ? ~std::uint32_t{0} : 0;
    each_member(ref, [&](flow::ClassId c, std::uint32_t queue) {
        press(c, less, less);
        finish_head(c, queue, start);
    });
}

void Machine::finish_head(flow::ClassId rank, std::uint32_t queue, SimTime start) {
    finish_op(rank, ranks_[rank].head[queue], start);
}

void Machine::finish_op(flow::ClassId rank, std::uint32_t op, SimTime start) {
    Rank& r = ranks_[rank];
    const CompiledOp& o = r.program->ops[op];
    r.times[op].start = start;
    r.times[op].end = now_;
    ++finished_ops_;
    if (--r.left == 0) r.finished = now_;
    r.head[o.queue] = o.next;
    // A follower that is next in the queue as well must become ready once.
    for (std::uint32_t i = 0; i < o.followers; ++i) {
        const std::uint32_t f = r.program->followers[o.first_follower + i];
        if (--r.waits_for[f] == 0 && f != o.next) make_ready(rank, f);
    }
    if (o.next != kNoOp) make_ready(rank, o.next);
}

/// Applies what falls on now_; false when nothing did.
bool Machine::apply_events() {
    bool any = false;
    while (!events_.empty() && events_.top().at == now_) {
        const Event e = events_.top();
        events_.pop();
        any = true;
        if (e.kind == EventKind::kComputeEnds) {
            end_compute(e.id);
        } else if (e.kind == EventKind::kBytesBegin) {
            begin_bytes({e.set, e.id});
        } else {
            end_group({e.set, e.id});
        }
    }
    ended_.clear();
    carrier_->take_ended(now_, ended_);
    for (const GroupRef ref : ended_)
        events_.push(
            {now_ + carrier_->after(group(ref).price), EventKind::kGroupEnds, ref.set, ref.id});
    return any || !ended_.empty();
}

void Machine::enter_epoch() {
    ++epoch_;
    carrier_->set_epoch(epoch_, now_);
}

void Machine::report_progress() {
    if (!in_.progress || finished_ops_ < next_report_) return;
    next_report_ = finished_ops_ + all_ops_ / kProgressSteps + 1;
    in_.progress(static_cast<double>(finished_ops_) / static_cast<double>(all_ops_),
                 fmt::format("simulated {}", to_string(now_)));
}

void Machine::run() {
    start_all();
    while (true) {
        drain_ready();
        if (apply_events()) continue;
        carrier_->settle(now_);
        SimTime next = events_.empty() ? SimTime::never() : events_.top().at;
        const bool more = epoch_ + 1 < in_.epoch_start.size();
        const SimTime change = more ? in_.epoch_start[epoch_ + 1] : SimTime::never();
        next = std::min(next, carrier_->next_end(std::min(next, change)));
        if (more && change <= next && (next != SimTime::never() || !carrier_->idle())) {
            now_ = change;
            enter_epoch();
            continue;
        }
        if (next == SimTime::never()) break;
        now_ = next;
        report_progress();
    }
    for (const Rank& r : ranks_)
        if (r.left > 0) complain();
}

/// What a rank waits in: its first op that has begun and cannot end; empty when none has.
std::string Machine::stuck_in(RankId rank) const {
    const Workload& w = *in_.workload->source;
    const Program& p = w.programs[w.program_of[rank.index()]];
    const Rank& r = ranks_[in_.quotient->class_of_rank[rank.index()]];
    std::uint32_t first = kNoOp;
    for (const std::uint32_t op : r.head)
        if (op != kNoOp && r.waits_for[op] == 0) first = std::min(first, op);
    if (first == kNoOp) return {};
    const Op& o = p.ops[first];
    const std::string label = o.label < p.labels.size() ? p.labels[o.label] : "";
    return fmt::format("rank {} waits for ever in op {} ({}: {}) of program {}", rank.value(),
                       first, printable(label), describe(w, o), printable(p.name));
}

/// Names the lowest rank of each program that cannot go on, and what it waits for.
void Machine::complain() const {
    constexpr std::size_t kMostNamed = 4;
    const Workload& w = *in_.workload->source;
    std::vector<char> named(w.programs.size(), 0);
    std::vector<std::string> waits;
    for (std::uint32_t r = 0; r < w.world && waits.size() < kMostNamed; ++r) {
        const bool ended = ranks_[in_.quotient->class_of_rank[r]].left == 0;
        if (ended || named[w.program_of[r]] != 0) continue;
        named[w.program_of[r]] = 1;
        const std::string one = stuck_in(RankId{r});
        if (!one.empty()) waits.push_back(one);
    }
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "workload",
                       .found = waits.empty() ? "a cycle of dependencies"
                                              : fmt::format("{}", fmt::join(waits, "; ")),
                       .expected = in_.scenario->failures.empty()
                                       ? "every collective and message met by all its members"
                                       : "a healthy path between all ranks that communicate",
                       .example = {}});
}

}  // namespace weft
