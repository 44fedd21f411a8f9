#include "collectives/plan/checker.hpp"

#include <algorithm>
#include <deque>
#include <fmt/format.h>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft {

namespace {

using Wide = unsigned __int128;
constexpr std::uint32_t kNever = 0xffffffffU;
constexpr std::uint32_t kExact = 64;  // ranks up to which bitsets are kept

Wide token(std::uint32_t rank, std::uint32_t unit) {
    const std::uint64_t a = mix64(mix64(0x70C1, rank), unit);
    return static_cast<Wide>(mix64(a)) << 64 | mix64(a ^ 0x5bd1e995);
}

/// What a place holds: a sum of inputs (rank, unit).
struct Value {
    Wide sum = 0;
    std::uint64_t order = 0;
    std::uint64_t once = 0;   // ranks whose input is in the sum (n <= 64)
    std::uint64_t twice = 0;  // ... more than once
    std::uint32_t unit = 0;   // the input unit summed; kNever when units are mixed
    std::uint32_t depth = 0;
    bool known = false;
};

/// One of a rank's two sequences of a stage.
struct Head {
    std::uint32_t next = 0;
    std::uint32_t count = 0;
};

/// What a transfer's unit waits for, and where it reads and writes.
struct Need {
    std::uint32_t writes = 0;
    std::uint32_t reads = 0;
    Buffer place = Buffer::kOutput;
    Buffer local = Buffer::kOutput;
};

struct Problem {
    std::string text;
};

class ChannelRun {
  public:
    ChannelRun(const PlanTemplate& p, std::uint32_t channel, bool in_place, bool text)
        : p_(p), c_(p.channels[channel]), channel_(channel), in_place_(in_place), text_(text) {
        stages_ = static_cast<std::uint32_t>(c_.stages.size());
        if (c_.units == 0) fail("channel {} has no units", channel);
        if (p.blocked() && c_.units != p.n)
            fail("channel {} has {} units, blocked data has {}", channel, c_.units, p.n);
        places_.resize(std::size_t{3} * p.n * c_.units);
        writes_.resize(places_.size());
        reads_.resize(places_.size());
        last_.assign(places_.size(), kNever);
        if (text_) texts_.resize(places_.size());
        for (std::uint32_t r = 0; r < p.n; ++r) prepare(r);
    }
    void run();
    void judge(CheckReport& report, const CheckReport* reference);
    [[nodiscard]] std::string text(std::uint32_t rank, std::uint32_t unit) {
        return texts_[where(rank, final_place(rank, unit), unit)];
    }

  private:
    template <class... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> f, Args&&... args) const {
        throw Problem{fmt::format(f, std::forward<Args>(args)...)};
    }
    std::size_t where(std::uint32_t rank, Buffer b, std::uint32_t unit) const {
        if (b == Buffer::kInput && in_place_ && holds(p_, b, rank, unit) &&
            holds(p_, Buffer::kOutput, rank, unit))
            b = Buffer::kOutput;
        return (std::size_t{rank} * 3 + static_cast<std::size_t>(b)) * c_.units + unit;
    }
    Head& head(std::uint32_t rank, std::uint32_t stage, bool recv) {
        return heads_[(std::size_t{rank} * stages_ + stage) * 2 + (recv ? 1 : 0)];
    }
    std::vector<Need>& needs(std::uint32_t rank, std::uint32_t stage, bool recv) {
        return needs_[(std::size_t{rank} * stages_ + stage) * 2 + (recv ? 1 : 0)];
    }
    std::vector<std::uint32_t>& starts(std::uint32_t rank, std::uint32_t stage, bool recv) {
        return starts_[(std::size_t{rank} * stages_ + stage) * 2 + (recv ? 1 : 0)];
    }
    Transfer transfer(std::uint32_t rank, std::uint32_t stage, bool recv, std::uint32_t i) const {
        return recv ? recv_at(p_, channel_, stage, rank, i) : send_at(p_, channel_, stage, rank, i);
    }
    Buffer final_place(std::uint32_t rank, std::uint32_t unit) {
        if (writes_[where(rank, Buffer::kOutput, unit)] > 0) return Buffer::kOutput;
        if (writes_[where(rank, Buffer::kScratch, unit)] > 0) return Buffer::kScratch;
        return Buffer::kInput;
    }
    void prepare(std::uint32_t rank);
    void add(std::uint32_t rank, std::uint32_t stage, bool recv, const Transfer& t,
             std::vector<std::uint32_t>& writes, std::vector<std::uint32_t>& reads);
    bool ready(std::uint32_t rank, std::uint32_t stage, bool recv);
    bool fire(std::uint32_t rank, std::uint32_t stage);
    void move(std::uint32_t from, const Transfer& send, std::uint32_t to, const Transfer& recv,
              std::uint32_t stage);
    void reduce(Value& into, const Value& in, const Value& local, std::uint32_t rank,
                std::uint32_t stage, const Transfer& recv, std::uint32_t unit);
    [[noreturn]] void explain_stop();
    std::string describe(std::uint32_t rank, std::uint32_t stage, bool recv);
    std::size_t waits_for(std::uint32_t rank, std::uint32_t stage, bool recv, bool& orphan);
    std::size_t pending_access(std::uint32_t rank, std::size_t self, std::size_t place,
                               bool reader);
    Value expected(std::uint32_t rank, std::uint32_t unit) const;
    std::string difference(const Value& got, const Value& want) const;

    const PlanTemplate& p_;
    const Channel& c_;
    std::uint32_t channel_;
    bool in_place_;
    bool text_;
    std::uint32_t stages_ = 0;
    std::vector<Value> places_;
    std::vector<std::string> texts_;
    std::vector<std::uint32_t> writes_, reads_;  // done so far
    std::vector<std::uint32_t> last_;            // stage << 24 | step of the last write
    std::vector<Head> heads_;
    std::vector<std::vector<Need>> needs_;
    std::vector<std::vector<std::uint32_t>> starts_;  // first need of each transfer
    std::vector<Wide> totals_;                        // per unit, the sum of all ranks' inputs
    std::uint64_t left_ = 0, moved_ = 0;
    std::uint32_t depth_ = 0;
};

void ChannelRun::add(std::uint32_t rank, std::uint32_t stage, bool recv, const Transfer& t,
                     std::vector<std::uint32_t>& writes, std::vector<std::uint32_t>& reads) {
    const Stage& s = c_.stages[stage];
    const char* verb = recv ? "receives" : "sends";
    if (t.peer >= p_.n || t.peer == rank)
        fail("channel {} rank {} stage {} step {}: {} with rank {}, which is no peer", channel_,
             rank, stage, t.step, verb, t.peer);
    if (t.units.count > 1 && t.units.stride == 0)
        fail("channel {} rank {} stage {} step {}: {} unit {} twice in one transfer", channel_,
             rank, stage, t.step, verb, t.units.first);
    starts(rank, stage, recv)
        .push_back(static_cast<std::uint32_t>(needs(rank, stage, recv).size()));
    const std::size_t base = std::size_t{rank} * 3 * c_.units;
    const auto value_of = [&](Buffer b, std::uint32_t u) {
        if (b == Buffer::kOutput && !holds(p_, b, rank, u)) b = Buffer::kScratch;
        if (b == Buffer::kInput || writes[where(rank, b, u) - base] > 0) return b;
        if (writes[where(rank, Buffer::kScratch, u) - base] > 0) return Buffer::kScratch;
        return Buffer::kInput;
    };
    for (std::uint32_t i = 0; i < t.units.count; ++i) {
        const std::uint64_t unit = std::uint64_t{t.units.first} + std::uint64_t{i} * t.units.stride;
        if (unit >= c_.units)
            fail("channel {} rank {} stage {} step {}: {} unit {} of {}", channel_, rank, stage,
                 t.step, verb, unit, c_.units);
        const auto u = static_cast<std::uint32_t>(unit);
        Need need;
        need.local = value_of(recv ? s.destination : s.source, u);
        need.place = recv ? s.destination : need.local;
        if (recv && need.place == Buffer::kInput)
            fail("channel {} rank {} stage {} step {}: receives into the input", channel_, rank,
                 stage, t.step);
        if (recv && need.place == Buffer::kOutput && !holds(p_, need.place, rank, u))
            need.place = Buffer::kScratch;
        const std::size_t at = where(rank, need.place, u) - base;
        const std::size_t local = where(rank, need.local, u) - base;
        need.writes = writes[at];
        need.reads = reads[at];
        const bool reads_local = recv && s.arrival == Arrival::kReduce && local != at;
        if (!recv) ++reads[at];
        if (reads_local) ++reads[local];
        if (recv) ++writes[at];
        needs(rank, stage, recv).push_back(need);
    }
}

/// Walks the rank's program order once and notes what each transfer waits for.
void ChannelRun::prepare(std::uint32_t rank) {
    heads_.resize((std::size_t{rank} + 1) * stages_ * 2);
    needs_.resize(heads_.size());
    starts_.resize(heads_.size());
    std::vector<std::uint32_t> writes(std::size_t{3} * c_.units, 0);
    std::vector<std::uint32_t> reads = writes;
    for (std::uint32_t s = 0; s < stages_; ++s) {
        const std::uint32_t out = send_count(p_, channel_, s, rank);
        const std::uint32_t in = recv_count(p_, channel_, s, rank);
        head(rank, s, false).count = out;
        head(rank, s, true).count = in;
        left_ += out + in;
        for (std::uint32_t i = 0, j = 0; i < out || j < in;) {
            const std::uint32_t a = i < out ? transfer(rank, s, false, i).step : kNever;
            const std::uint32_t b = j < in ? transfer(rank, s, true, j).step : kNever;
            const bool send = j == in || (i < out && a <= b);
            if (send)
                add(rank, s, false, transfer(rank, s, false, i++), writes, reads);
            else
                add(rank, s, true, transfer(rank, s, true, j++), writes, reads);
        }
    }
    for (std::uint32_t u = 0; u < c_.units; ++u) {
        if (!holds(p_, Buffer::kInput, rank, u)) continue;
        Value& v = places_[where(rank, Buffer::kInput, u)];
        v.sum = token(rank, u);
        v.order = mix64(rank, u);
        v.once = rank < kExact ? std::uint64_t{1} << rank : 0;
        v.unit = u;
        v.known = true;
        if (text_) texts_[where(rank, Buffer::kInput, u)] = std::to_string(rank);
    }
}

bool ChannelRun::ready(std::uint32_t rank, std::uint32_t stage, bool recv) {
    const Head& h = head(rank, stage, recv);
    const Transfer t = transfer(rank, stage, recv, h.next);
    const Need* need = needs(rank, stage, recv).data() + starts(rank, stage, recv)[h.next];
    for (std::uint32_t i = 0; i < t.units.count; ++i, ++need) {
        const std::size_t at = where(rank, need->place, t.units.first + i * t.units.stride);
        if (writes_[at] < need->writes) return false;
        if (recv && reads_[at] < need->reads) return false;
    }
    return true;
}

void ChannelRun::reduce(Value& into, const Value& in, const Value& local, std::uint32_t rank,
                        std::uint32_t stage, const Transfer& recv, std::uint32_t unit) {
    Value v;
    v.sum = in.sum + local.sum;
    v.order = mix64(mix64(in.order, 0x72), local.order);
    v.once = in.once | local.once;
    v.twice = in.twice | local.twice | (in.once & local.once);
    v.unit = in.unit == local.unit ? in.unit : kNever;
    v.depth = std::max(in.depth, local.depth);
    v.known = true;
    if (v.twice != 0)
        fail("channel {} rank {} stage {} step {}: unit {} gets the contribution of rank {} twice",
             channel_, rank, stage, recv.step, unit, __builtin_ctzll(v.twice));
    into = v;
}

void ChannelRun::move(std::uint32_t from, const Transfer& send, std::uint32_t to,
                      const Transfer& recv, std::uint32_t stage) {
    if (send.units.count != recv.units.count)
        fail("channel {} rank {} stage {} step {}: receives {} units where rank {} sends {}",
             channel_, to, stage, recv.step, recv.units.count, from, send.units.count);
    const Need* source = needs(from, stage, false).data() +
                         starts(from, stage, false)[head(from, stage, false).next];
    const Need* target =
        needs(to, stage, true).data() + starts(to, stage, true)[head(to, stage, true).next];
    for (std::uint32_t i = 0; i < send.units.count; ++i, ++source, ++target) {
        const std::uint32_t u = send.units.first + i * send.units.stride;
        const std::uint32_t v = recv.units.first + i * recv.units.stride;
        const std::size_t src = where(from, source->place, u);
        const std::size_t dst = where(to, target->place, v);
        const std::size_t local = where(to, target->local, v);
        if (!places_[src].known)
            fail("channel {} rank {} stage {} step {}: sends unit {}, which it does not have",
                 channel_, from, stage, send.step, u);
        if (!p_.blocked() && u != v)
            fail("channel {} rank {} stage {} step {}: unit {} of rank {} lands in unit {}",
                 channel_, to, stage, recv.step, u, from, v);
        Value in = places_[src];
        ++in.depth;
        if (c_.stages[stage].arrival == Arrival::kReduce) {
            if (!places_[local].known)
                fail("channel {} rank {} stage {} step {}: reduces unit {} into nothing", channel_,
                     to, stage, recv.step, v);
            reduce(places_[dst], in, places_[local], to, stage, recv, v);
            if (text_) texts_[dst] = fmt::format("({}+{})", texts_[src], texts_[local]);
            if (local != dst) ++reads_[local];
        } else {
            places_[dst] = in;
            if (text_) texts_[dst] = texts_[src];
        }
        depth_ = std::max(depth_, places_[dst].depth);
        last_[dst] = stage << 24 | (recv.step & 0xffffffU);
        ++reads_[src];
        ++writes_[dst];
    }
}

/// Fires the head send of (rank, stage) if both ends are ready.
bool ChannelRun::fire(std::uint32_t rank, std::uint32_t stage) {
    Head& out = head(rank, stage, false);
    if (out.next == out.count || !ready(rank, stage, false)) return false;
    const Transfer send = transfer(rank, stage, false, out.next);
    Head& in = head(send.peer, stage, true);
    if (in.next == in.count) return false;
    const Transfer recv = transfer(send.peer, stage, true, in.next);
    if (recv.peer != rank || recv.ordinal != send.ordinal || !ready(send.peer, stage, true))
        return false;
    move(rank, send, send.peer, recv, stage);
    ++out.next;
    ++in.next;
    left_ -= 2;
    ++moved_;
    return true;
}

void ChannelRun::run() {
    std::deque<std::uint32_t> todo;
    std::vector<bool> queued(p_.n, true);
    for (std::uint32_t r = 0; r < p_.n; ++r) todo.push_back(r);
    const auto wake = [&](std::uint32_t r) {
        if (!queued[r]) todo.push_back(r);
        queued[r] = true;
    };
    while (!todo.empty()) {
        const std::uint32_t r = todo.front();
        todo.pop_front();
        queued[r] = false;
        for (std::uint32_t s = 0; s < stages_; ++s) {
            const Head out = head(r, s, false);
            const Head in = head(r, s, true);
            const std::uint32_t to =
                out.next < out.count ? transfer(r, s, false, out.next).peer : r;
            if (to != r && fire(r, s)) {
                wake(r);
                wake(to);
            }
            if (in.next == in.count || head(r, s, true).next != in.next) continue;
            const std::uint32_t from = transfer(r, s, true, in.next).peer;
            if (fire(from, s)) {
                wake(from);
                wake(r);
                // The sender's transfer may have gone elsewhere: then that rank has news.
                wake(transfer(from, s, false, head(from, s, false).next - 1).peer);
            }
        }
    }
    if (left_ > 0) explain_stop();
}

std::string ChannelRun::describe(std::uint32_t rank, std::uint32_t stage, bool recv) {
    const Head& h = head(rank, stage, recv);
    const Transfer t = transfer(rank, stage, recv, h.next);
    return fmt::format("rank {} stage {} step {} {} rank {}", rank, stage, t.step,
                       recv ? "receives from" : "sends to", t.peer);
}

/// The sequence of this rank that still has to write (or, with `reader`, read) the place.
std::size_t ChannelRun::pending_access(std::uint32_t rank, std::size_t self, std::size_t place,
                                       bool reader) {
    for (std::uint32_t s = 0; s < stages_; ++s)
        for (const bool recv : {!reader, reader}) {
            const std::size_t node = (std::size_t{rank} * stages_ + s) * 2 + (recv ? 1 : 0);
            if (node == self) continue;
            const Head& h = heads_[node];
            for (std::uint32_t i = h.next; i < h.count; ++i) {
                const Transfer t = transfer(rank, s, recv, i);
                for (std::uint32_t k = 0; k < t.units.count; ++k) {
                    const Need& n = needs_[node][starts_[node][i] + k];
                    const std::uint32_t u = t.units.first + k * t.units.stride;
                    const bool touches = where(rank, n.place, u) == place && recv != reader;
                    const bool reads = reader && where(rank, n.local, u) == place;
                    if (touches || reads) return node;
                }
            }
        }
    return self;
}

/// The node that the first operation of this sequence waits for.
std::size_t ChannelRun::waits_for(std::uint32_t rank, std::uint32_t stage, bool recv,
                                  bool& orphan) {
    const std::size_t self = (std::size_t{rank} * stages_ + stage) * 2 + (recv ? 1 : 0);
    const Head& h = heads_[self];
    const Transfer t = transfer(rank, stage, recv, h.next);
    for (std::uint32_t i = 0; i < t.units.count; ++i) {
        const Need& n = needs_[self][starts_[self][h.next] + i];
        const std::size_t at = where(rank, n.place, t.units.first + i * t.units.stride);
        if (writes_[at] < n.writes) return pending_access(rank, self, at, false);
        if (recv && reads_[at] < n.reads) return pending_access(rank, self, at, true);
    }
    const std::size_t peer = (std::size_t{t.peer} * stages_ + stage) * 2 + (recv ? 0 : 1);
    orphan = heads_[peer].next == heads_[peer].count;
    return peer;
}

void ChannelRun::explain_stop() {
    std::size_t node = 0;
    while (heads_[node].next == heads_[node].count) ++node;
    std::vector<std::size_t> path;
    std::string out;
    const auto say = [&](std::size_t from) {
        out.clear();
        for (std::size_t i = from; i < path.size() && i < from + 6; ++i) {
            const std::size_t v = path[i] / 2;
            if (!out.empty()) out += ", which waits for: ";
            out += describe(static_cast<std::uint32_t>(v / stages_),
                            static_cast<std::uint32_t>(v % stages_), path[i] % 2 == 1);
        }
        if (path.size() > from + 6) out += fmt::format(" ... ({} waits)", path.size() - from);
    };
    while (true) {
        const auto seen = std::find(path.begin(), path.end(), node);
        if (seen != path.end()) {
            say(static_cast<std::size_t>(seen - path.begin()));
            fail("channel {}: stops in a cycle of waits: {}", channel_, out);
        }
        path.push_back(node);
        bool orphan = false;
        const std::size_t v = node / 2;
        node = waits_for(static_cast<std::uint32_t>(v / stages_),
                         static_cast<std::uint32_t>(v % stages_), node % 2 == 1, orphan);
        if (orphan) {
            say(path.size() - 1);
            fail("channel {}: {}, which has no transfer left to meet it", channel_, out);
        }
    }
}

Value ChannelRun::expected(std::uint32_t rank, std::uint32_t unit) const {
    Value v;
    const auto single = [&v](std::uint32_t r, std::uint32_t u) {
        v.sum = token(r, u);
        v.once = r < kExact ? std::uint64_t{1} << r : 0;
        v.unit = u;
    };
    switch (p_.collective) {
        case Collective::kAllReduce:
        case Collective::kReduceScatter:
        case Collective::kReduce:
            v.sum = totals_[unit];
            v.once = p_.n >= kExact ? ~std::uint64_t{0} : (std::uint64_t{1} << p_.n) - 1;
            v.unit = unit;
            break;
        case Collective::kAllGather:
        case Collective::kGather:
            single(unit, unit);
            break;
        case Collective::kAllToAll:
            single(unit, rank);
            break;
        case Collective::kScatter:
        case Collective::kBroadcast:
        case Collective::kSendRecv:
            single(p_.root, unit);
            break;
    }
    return v;
}

std::string ChannelRun::difference(const Value& got, const Value& want) const {
    if (!got.known) return "is never written";
    if (p_.n > kExact) return "holds a wrong sum";
    if (got.unit != want.unit)
        return got.unit == kNever ? std::string("mixes different units")
                                  : fmt::format("holds unit {} of the input", got.unit);
    if ((want.once & ~got.once) != 0)
        return fmt::format("misses the contribution of rank {}",
                           __builtin_ctzll(want.once & ~got.once));
    return fmt::format("has the contribution of rank {} too many",
                       __builtin_ctzll(got.twice | (got.once & ~want.once)));
}

void ChannelRun::judge(CheckReport& report, const CheckReport* reference) {
    totals_.assign(c_.units, 0);
    for (std::uint32_t u = 0; u < c_.units; ++u)
        for (std::uint32_t q = 0; q < p_.n; ++q) totals_[u] += token(q, u);
    std::vector<std::uint64_t> first(c_.units, 0);
    for (std::uint32_t r = 0; r < p_.n; ++r)
        for (std::uint32_t u = 0; u < c_.units; ++u) {
            if (!holds(p_, Buffer::kOutput, r, u)) continue;
            const std::size_t at = where(r, final_place(r, u), u);
            const Value& got = places_[at];
            const Value want = expected(r, u);
            const std::string after =
                last_[at] == kNever
                    ? std::string("no transfer")
                    : fmt::format("stage {} step {}", last_[at] >> 24, last_[at] & 0xffffffU);
            if (!got.known || got.sum != want.sum)
                fail("channel {} rank {} after {}: output unit {} {}", channel_, r, after, u,
                     difference(got, want));
            const std::size_t index = report.orders.size();
            if (reference != nullptr && p_.n <= kExact &&
                (index >= reference->orders.size() || reference->orders[index] != got.order))
                fail("channel {} rank {} after {}: output unit {} is reduced in another order",
                     channel_, r, after, u);
            if (p_.collective == Collective::kAllReduce) {
                if (r == 0) first[u] = got.order;
                if (first[u] != got.order)
                    fail(
                        "channel {} rank {} after {}: output unit {} is reduced in another order "
                        "than at rank 0",
                        channel_, r, after, u);
            }
            report.fingerprint = mix64(report.fingerprint, got.order);
            if (p_.n <= kExact) report.orders.push_back(got.order);
        }
    report.steps = std::max(report.steps, depth_);
    report.transfers += moved_;
}

/// What must hold of stages before any transfer is looked at.
void check_form(const PlanTemplate& p, std::uint32_t channel) {
    const std::vector<Stage>& stages = p.channels[channel].stages;
    for (std::size_t s = 0; s < stages.size(); ++s) {
        const auto fail = [&](const char* what) {
            throw Problem{fmt::format("channel {} stage {}: {}", channel, s, what)};
        };
        if (const auto* t = std::get_if<Tree>(&stages[s].pattern))
            if (t->chain == 0 || stages[s].cells.size % t->chain != 0)
                fail("the chains of a tree do not divide its cells");
        if (!stages[s].in_network) continue;
        const auto* d = std::get_if<Direct>(&stages[s].pattern);
        if (d == nullptr || d->by_destination != (stages[s].arrival == Arrival::kReduce))
            fail("only a reducing scatter or a copying gather can be in network");
        if (p.deterministic) fail("what is reduced in network has no order");
    }
}

}  // namespace

CheckReport check_plan(const PlanTemplate& p, const CheckReport* reference) {
    CheckReport report;
    try {
        std::uint64_t weight = 0;
        for (const Channel& c : p.channels) weight += c.weight;
        if (weight == 0) throw Problem{"no channel has any of the data"};
        for (std::uint32_t c = 0; c < p.channels.size(); ++c) check_form(p, c);
        for (std::uint32_t c = 0; c < p.channels.size(); ++c) {
            ChannelRun apart(p, c, false, false);
            apart.run();
            apart.judge(report, reference);
        }
        for (std::uint32_t c = 0; p.in_place_ok && c < p.channels.size(); ++c) {
            CheckReport again;
            ChannelRun in_place(p, c, true, false);
            in_place.run();
            in_place.judge(again, nullptr);
        }
    } catch (const Problem& problem) {
        report.ok = false;
        report.problem = problem.text;
    }
    return report;
}

std::string reduction_order(const PlanTemplate& p, std::size_t channel, std::uint32_t rank,
                            std::uint32_t unit) {
    try {
        ChannelRun run(p, static_cast<std::uint32_t>(channel), false, true);
        run.run();
        return run.text(rank, unit);
    } catch (const Problem& problem) {
        return problem.text;
    }
}

PlanTemplate expand(const PlanTemplate& p) {
    PlanTemplate out = p;
    for (std::size_t c = 0; c < p.channels.size(); ++c)
        for (std::size_t s = 0; s < p.channels[c].stages.size(); ++s) {
            Explicit e;
            e.sends.resize(p.n);
            e.recvs.resize(p.n);
            for (std::uint32_t r = 0; r < p.n; ++r) {
                for (std::uint32_t i = 0; i < send_count(p, c, s, r); ++i)
                    e.sends[r].push_back(send_at(p, c, s, r, i));
                for (std::uint32_t i = 0; i < recv_count(p, c, s, r); ++i)
                    e.recvs[r].push_back(recv_at(p, c, s, r, i));
            }
            out.channels[c].stages[s].pattern = std::move(e);
            out.channels[c].stages[s].in_network = false;
        }
    return out;
}

}  // namespace weft
