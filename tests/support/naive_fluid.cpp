#include "tests/support/naive_fluid.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <tuple>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "topology/routing/router.hpp"

namespace weft::tests {
namespace {

constexpr double kForever = std::numeric_limits<double>::infinity();
constexpr std::size_t kAllPaths = 4096;
constexpr std::uint32_t kStaticQps = 4;
// Events closer together than this part of the shortest piece are one event; it only saves work.
constexpr double kSameTime = 1e-7;

/// Where one lane's bits go: load on a link per unit of the lane's rate.
struct Lane {
    std::vector<std::pair<std::size_t, double>> loads;
    double share = 1;    // of the bytes, when parts are fixed
    double latency = 0;  // seconds
    double rate = 0;     // bytes per second, as last filled
    bool dead = false;   // crosses a link that is down
};

struct Transfer {
    std::size_t collective = 0;
    double bytes = 0;
    std::size_t connection = 0;
    std::size_t place = 0;                // among the connection's transfers
    std::uint32_t waits_for = 0;          // transfers it forwards
    std::vector<std::size_t> dependents;  // transfers that forward it
};

/// A piece that may flow: the connection's own count of its pieces.
struct Posted {
    std::size_t connection = 0;
    std::size_t index = 0;
    std::pair<std::size_t, std::size_t> turn;  // (loop, stage): the Plan's order
};

/// What flows: the lanes of a pool together, or one QP by itself. Posted pieces go in the Plan's
/// order, those of one stage in the order posted.
struct Queue {
    std::vector<std::size_t> lanes;  // of the wire
    double share = 1;                // of each piece
    std::deque<Posted> posted;
    bool begun = false;  // the head
    double left = 0;     // bytes of the head still to flow
};

/// The lanes from a rank to a rank in one channel. Stages share them: a QP carries one message
/// after the other, whichever stage posted it.
struct Wire {
    Edge edge;
    RankId src;
    RankId dst;
    std::size_t channel = 0;
    std::int32_t plane = kAny;
    double give = 1;  // bytes on the first link for each byte of a transfer
    double take = 1;  // on the last: see switched()
    std::vector<Lane> lanes;
    std::vector<Queue> queues;
};

/// The transfers of one stage on a wire, in order.
struct Connection {
    std::size_t wire = 0;
    std::size_t stage = 0;
    std::size_t slots = 8;
    std::vector<std::size_t> transfers;    // in step order
    std::vector<std::uint8_t> parts_left;  // by piece
    std::size_t next = 0;                  // piece to be posted next
    std::size_t gone = 0;                  // pieces that have left completely, in order
};

struct Landing {
    double time = 0;
    std::size_t transfer = 0;
    std::size_t piece = 0;
    bool operator>(const Landing& o) const {
        return std::tie(time, transfer, piece) > std::tie(o.time, o.transfer, o.piece);
    }
};

double seconds(SimDuration d) {
    return static_cast<double>(d.ps()) * 1e-12;
}
double bytes_per_second(Bandwidth b) {
    return static_cast<double>(b.bits_per_second()) / 8;
}

class Naive {
  public:
    explicit Naive(const NaiveScenario& s)
        : s_(s), health_(*s.fabric), router_(*s.fabric, options(s), &health_) {
        for (const Link& l : s.fabric->links()) capacity_.push_back(bytes_per_second(l.capacity));
        weight_.resize(capacity_.size());
        frozen_.resize(capacity_.size());
        result_.carried.resize(capacity_.size());
        result_.end.resize(s.collectives.size());
        choose_cut();
        for (std::size_t c = 0; c < s.collectives.size(); ++c) expand(c);
        for (Wire& w : wires_) choose_lanes(w);
        for (Connection& c : connections_) prepare(c);
        for (const Transfer& t : transfers_) waiting_.emplace_back(pieces(), t.waits_for);
    }
    NaiveResult run();

  private:
    struct Key {
        std::size_t collective, channel, stage;
        std::uint32_t src, dst;
        auto operator<=>(const Key&) const = default;
    };
    struct Arrived {
        std::size_t stage;
        std::uint32_t step;
        std::size_t transfer;
        Buffer buffer;
    };
    static RoutingOptions options(const NaiveScenario& s) {
        RoutingOptions o;
        o.hash = {HashSeeds::kSame, s.seed};
        return o;
    }
    [[nodiscard]] std::size_t pieces() const { return loops_ * slices_; }
    void choose_cut();
    void expand(std::size_t collective);
    void expand_rank(std::size_t collective, std::size_t channel, std::uint32_t rank,
                     std::map<Key, std::vector<std::size_t>>& sent);
    void link_dependencies(std::size_t collective, std::size_t channel,
                           std::map<Key, std::vector<std::size_t>>& sent);
    void prepare(Connection& c);
    void choose_lanes(Wire& w);
    void pool_lanes(Wire& w);
    void hashed_lanes(Wire& w);
    std::size_t wire(std::size_t collective, std::size_t channel, RankId src, RankId dst,
                     const Stage& stage);
    [[nodiscard]] bool switched(RankId src, RankId dst, const Stage& stage) const;
    Lane lane_of(const std::vector<Route>& routes) const;
    [[nodiscard]] std::pair<std::size_t, std::size_t> piece_at(const Connection& c,
                                                               std::size_t i) const;
    void post(std::size_t connection);
    void begin(std::size_t wire, std::size_t queue);
    void fill();
    void finish(Wire& w, Queue& q);
    void land(const Landing& l);
    void advance(double to);
    [[nodiscard]] double next_finish() const;
    void apply_failures();
    void mark_dead();

    const NaiveScenario& s_;
    Health health_;
    Router router_;
    std::vector<double> capacity_;
    std::vector<Transfer> transfers_;
    std::vector<Connection> connections_;
    std::vector<Wire> wires_;
    std::map<std::tuple<std::size_t, std::size_t, RankId, RankId, double>, std::size_t> wire_of_;
    std::map<Key, std::size_t> connection_of_;
    std::vector<std::vector<std::uint32_t>> waiting_;  // [transfer][piece]: arrivals still to come
    std::priority_queue<Landing, std::vector<Landing>, std::greater<>> landings_;
    std::vector<std::pair<std::size_t, std::size_t>> active_;  // (wire, queue)
    std::vector<double> weight_;
    std::vector<double> frozen_;
    std::vector<std::uint8_t> fired_ = std::vector<std::uint8_t>(2 * s_.failures.size());
    std::size_t loops_ = 1;
    std::size_t slices_ = 1;
    double now_ = 0;
    NaiveResult result_;
};

// ---- Expansion ----

void Naive::choose_cut() {
    const NaiveCollective& first = s_.collectives.at(0);
    const Cut c = cut(*first.plan, bind_total(*first.plan, first.size, 4), 0);
    loops_ = s_.loops != 0 ? s_.loops : c.loops;
    slices_ = s_.slices != 0 ? s_.slices : c.loop_slices;
}

void Naive::expand(std::size_t collective) {
    const PlanTemplate& plan = *s_.collectives[collective].plan;
    for (std::size_t channel = 0; channel < plan.channels.size(); ++channel) {
        std::map<Key, std::vector<std::size_t>> sent;
        for (std::uint32_t rank = 0; rank < plan.n; ++rank)
            expand_rank(collective, channel, rank, sent);
        link_dependencies(collective, channel, sent);
    }
}

/// Whether the two GPUs hang on one scale-up switch that carries the stage in network.
bool Naive::switched(RankId src, RankId dst, const Stage& stage) const {
    if (!stage.in_network) return false;
    const Fabric& f = *s_.fabric;
    for (const LinkId a : f.out(f.gpu(s_.placement.gpu(src)).node))
        for (const LinkId b : f.out(f.gpu(s_.placement.gpu(dst)).node))
            if (f.link(a).to == f.link(b).to && f.node(f.link(a).to).in_network) return true;
    return false;
}

/// In network, m members give and take as the switch wants it, spread evenly over the m - 1
/// transfers of each: of a scatter m chunks up and one reduced chunk down, of a gather one up and m
/// down.
std::size_t Naive::wire(std::size_t collective, std::size_t channel, RankId src, RankId dst,
                        const Stage& stage) {
    double give = 1;
    double take = 1;
    if (switched(src, dst, stage)) {
        const double m = stage.cells.size;
        give = (stage.arrival == Arrival::kReduce ? m : 1) / (m - 1);
        take = (stage.arrival == Arrival::kReduce ? 1 : m) / (m - 1);
    }
    const auto [it, fresh] =
        wire_of_.try_emplace({collective, channel, src, dst, give}, wires_.size());
    if (fresh) {
        const Channel& ch = s_.collectives[collective].plan->channels[channel];
        Wire w;
        w.edge = router_.edge(s_.placement.gpu(src), s_.placement.gpu(dst), ch.rail);
        w.src = src;
        w.dst = dst;
        w.channel = channel;
        w.plane = ch.plane;
        w.give = give;
        w.take = take;
        wires_.push_back(std::move(w));
    }
    return it->second;
}

/// All sends of one rank in one channel; `sent` lists them by connection, in order.
void Naive::expand_rank(std::size_t collective, std::size_t channel, std::uint32_t rank,
                        std::map<Key, std::vector<std::size_t>>& sent) {
    const NaiveCollective& job = s_.collectives[collective];
    const PlanTemplate& plan = *job.plan;
    const Binding binding = bind_total(plan, job.size, 4);
    const Channel& ch = plan.channels[channel];
    for (std::size_t stage = 0; stage < ch.stages.size(); ++stage) {
        const std::uint32_t count = send_count(plan, channel, stage, rank);
        for (std::uint32_t i = 0; i < count; ++i) {
            const weft::Transfer send = send_at(plan, channel, stage, rank, i);
            const Key key{collective, channel, stage, rank, send.peer};
            const auto [it, fresh] = connection_of_.try_emplace(key, connections_.size());
            if (fresh) {
                Connection c;
                c.wire = wire(collective, channel, job.group[rank], job.group[send.peer],
                              ch.stages[stage]);
                c.stage = stage;
                c.slots = ch.slots;
                connections_.push_back(std::move(c));
            }
            Transfer t;
            t.collective = collective;
            t.bytes = static_cast<double>(elements(plan, binding, channel, send.units)) *
                      static_cast<double>(binding.element_size);
            t.connection = it->second;
            t.place = connections_[it->second].transfers.size();
            connections_[it->second].transfers.push_back(transfers_.size());
            sent[key].push_back(transfers_.size());
            transfers_.push_back(std::move(t));
        }
    }
}

/// A send waits for all that arrived in its units before its (stage, step), unless it reads another
/// buffer than they were written to.
void Naive::link_dependencies(std::size_t collective, std::size_t channel,
                              std::map<Key, std::vector<std::size_t>>& sent) {
    const PlanTemplate& plan = *s_.collectives[collective].plan;
    const std::vector<Stage>& stages = plan.channels[channel].stages;
    for (std::uint32_t rank = 0; rank < plan.n; ++rank) {
        std::map<std::uint32_t, std::vector<Arrived>> writes;  // by unit
        for (std::size_t stage = 0; stage < stages.size(); ++stage) {
            std::map<std::uint32_t, std::size_t> nth;  // by peer
            for (std::uint32_t i = 0; i < recv_count(plan, channel, stage, rank); ++i) {
                const weft::Transfer r = recv_at(plan, channel, stage, rank, i);
                const Key key{collective, channel, stage, r.peer, rank};
                WEFT_CHECK(nth[r.peer] < sent[key].size(), "a receive has no send");
                const std::size_t from = sent[key][nth[r.peer]++];
                for (std::uint32_t u = 0; u < r.units.count; ++u)
                    writes[r.units.first + u * r.units.stride].push_back(
                        {stage, r.step, from, stages[stage].destination});
            }
        }
        for (std::size_t stage = 0; stage < stages.size(); ++stage) {
            std::map<std::uint32_t, std::size_t> nth;
            for (std::uint32_t i = 0; i < send_count(plan, channel, stage, rank); ++i) {
                const weft::Transfer x = send_at(plan, channel, stage, rank, i);
                const std::size_t self =
                    sent[{collective, channel, stage, rank, x.peer}][nth[x.peer]++];
                std::vector<std::size_t> needed;
                for (std::uint32_t u = 0; u < x.units.count; ++u)
                    for (const Arrived& a : writes[x.units.first + u * x.units.stride])
                        if (std::tie(a.stage, a.step) < std::tie(stage, x.step) &&
                            a.buffer == stages[stage].source)
                            needed.push_back(a.transfer);
                std::sort(needed.begin(), needed.end());
                needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
                for (const std::size_t n : needed) transfers_[n].dependents.push_back(self);
                transfers_[self].waits_for = static_cast<std::uint32_t>(needed.size());
            }
        }
    }
}

// ---- Lanes ----

Lane Naive::lane_of(const std::vector<Route>& routes) const {
    double total = 0;
    for (const Route& r : routes) total += bytes_per_second(bottleneck(*s_.fabric, r, &health_));
    std::map<std::size_t, double> loads;
    Lane lane;
    for (const Route& r : routes) {
        const double part = bytes_per_second(bottleneck(*s_.fabric, r, &health_)) / total;
        for (const LinkId l : r.links) loads[l.index()] += part;
        lane.latency = std::max(lane.latency, seconds(latency(*s_.fabric, r)));
    }
    lane.loads.assign(loads.begin(), loads.end());
    return lane;
}

/// weft: one lane a port over its disjoint paths; the lanes draw from one pool of bytes.
void Naive::pool_lanes(Wire& w) {
    Queue q;
    for (std::size_t port = 0; port < router_.ports(w.edge); ++port) {
        if (w.plane != kAny && !w.edge.scale_up() && port != static_cast<std::size_t>(w.plane))
            continue;
        const std::vector<Route> routes =
            router_.disjoint_paths(w.edge, port, s_.qps == 0 ? kAllPaths : s_.qps, s_.seed);
        if (routes.empty()) continue;
        q.lanes.push_back(w.lanes.size());
        w.lanes.push_back(lane_of(routes));
        for (auto& [link, load] : w.lanes.back().loads) {
            if (link == routes[0].links.front().index()) load *= w.give;
            if (link == routes[0].links.back().index()) load *= w.take;
        }
    }
    if (w.queues.empty()) w.queues.push_back(q);
    w.queues[0].lanes = q.lanes;
}

/// nccl-static: a fixed and equal part on each QP, each on the path its hash gives.
void Naive::hashed_lanes(Wire& w) {
    const std::uint32_t qps = s_.qps == 0 ? kStaticQps : s_.qps;
    RandomStream draws(s_.seed, mix64(w.src.value(), w.dst.value()),
                       "udp-port-" + std::to_string(w.channel));
    w.queues.resize(qps);
    for (std::uint32_t q = 0; q < qps; ++q) {
        const auto port = static_cast<std::uint16_t>(49152 + draws.below(16384));
        const std::optional<Route> route = router_.ecmp(w.edge, port, q % router_.ports(w.edge));
        w.queues[q].share = 1.0 / qps;
        w.queues[q].lanes.clear();
        if (!route) continue;
        w.queues[q].lanes = {w.lanes.size()};
        w.lanes.push_back(lane_of({*route}));
    }
}

void Naive::choose_lanes(Wire& w) {
    w.lanes.clear();
    if (s_.hashed && !w.edge.scale_up())
        hashed_lanes(w);
    else
        pool_lanes(w);
}

void Naive::prepare(Connection& c) {
    c.parts_left.assign(c.transfers.size() * pieces(),
                        static_cast<std::uint8_t>(wires_[c.wire].queues.size()));
}

// ---- Order ----

/// The i-th piece of a connection in (loop, step, slice) order: (transfer, piece of it).
std::pair<std::size_t, std::size_t> Naive::piece_at(const Connection& c, std::size_t i) const {
    const std::size_t per_loop = c.transfers.size() * slices_;
    const std::size_t loop = i / per_loop;
    const std::size_t step = i % per_loop / slices_;
    return {c.transfers[step], loop * slices_ + i % slices_};
}

/// Posts what the connection may send now.
void Naive::post(std::size_t connection) {
    Connection& c = connections_[connection];
    while (c.next < c.parts_left.size() && c.next < c.gone + c.slots) {
        const auto [transfer, piece] = piece_at(c, c.next);
        if (waiting_[transfer][piece] != 0) return;
        for (std::size_t q = 0; q < wires_[c.wire].queues.size(); ++q) {
            Queue& queue = wires_[c.wire].queues[q];
            const Posted p{connection, c.next, {piece / slices_, c.stage}};
            auto at = queue.posted.end();
            const auto first = queue.posted.begin() + (queue.begun ? 1 : 0);
            while (at != first && (at - 1)->turn > p.turn) --at;
            queue.posted.insert(at, p);
            begin(c.wire, q);
        }
        ++c.next;
    }
}

/// Puts the head of a queue under way, unless it is.
void Naive::begin(std::size_t wire, std::size_t queue) {
    Queue& q = wires_[wire].queues[queue];
    if (q.begun || q.posted.empty()) return;
    q.begun = true;
    const Posted head = q.posted.front();
    const std::size_t transfer = piece_at(connections_[head.connection], head.index).first;
    q.left = transfers_[transfer].bytes * q.share / static_cast<double>(pieces());
    active_.emplace_back(wire, queue);
}

void Naive::finish(Wire& w, Queue& q) {
    const Posted head = q.posted.front();
    q.posted.pop_front();
    q.begun = false;
    Connection& c = connections_[head.connection];
    if (--c.parts_left[head.index] != 0) return;
    double latest = 0;
    for (const Lane& l : w.lanes) latest = std::max(latest, l.latency);
    const auto [transfer, piece] = piece_at(c, head.index);
    landings_.push({now_ + latest, transfer, piece});
    while (c.gone < c.parts_left.size() && c.parts_left[c.gone] == 0) ++c.gone;
}

void Naive::land(const Landing& l) {
    const Transfer& t = transfers_[l.transfer];
    ++result_.pieces;
    result_.end[t.collective] = std::max(result_.end[t.collective], l.time);
    for (const std::size_t d : t.dependents) {
        --waiting_[d][l.piece];
        post(transfers_[d].connection);
    }
}

// ---- Rates and time ----

/// Progressive filling: all rates grow together; where a link is full, its lanes stop.
void Naive::fill() {
    std::vector<std::size_t> touched;
    std::vector<Lane*> open;
    for (const auto& [wire, queue] : active_) {
        Wire& w = wires_[wire];
        bool dead = w.queues[queue].lanes.empty();
        for (const std::size_t l : w.queues[queue].lanes) dead = dead || w.lanes[l].dead;
        for (const std::size_t l : w.queues[queue].lanes) {
            w.lanes[l].rate = 0;
            if (!dead) open.push_back(&w.lanes[l]);
        }
    }
    for (const Lane* lane : open)
        for (const auto& [link, load] : lane->loads) {
            if (weight_[link] == 0) touched.push_back(link);
            weight_[link] += load;
        }
    while (!open.empty()) {
        double level = kForever;
        for (const std::size_t l : touched)
            if (weight_[l] > 1e-9)
                level = std::min(level, (capacity_[l] - frozen_[l]) / weight_[l]);
        std::vector<Lane*> still;
        std::vector<Lane*> full;
        for (Lane* lane : open) {
            const bool stops =
                std::any_of(lane->loads.begin(), lane->loads.end(), [&](const auto& load) {
                    const std::size_t l = load.first;
                    return (capacity_[l] - frozen_[l]) <= level * weight_[l] * (1 + 1e-9);
                });
            (stops ? full : still).push_back(lane);
        }
        WEFT_CHECK(!full.empty(), "progressive filling stands still");
        for (Lane* lane : full) {
            lane->rate = level;
            for (const auto& [link, load] : lane->loads) {
                frozen_[link] += level * load;
                weight_[link] -= load;
            }
        }
        open = std::move(still);
    }
    for (const std::size_t l : touched) weight_[l] = frozen_[l] = 0;
}

double rate_of(const Wire& w, const Queue& q) {
    double rate = 0;
    for (const std::size_t l : q.lanes) rate += w.lanes[l].rate;
    return rate;
}

double Naive::next_finish() const {
    double next = kForever;
    for (const auto& [wire, queue] : active_) {
        const Wire& w = wires_[wire];
        const double rate = rate_of(w, w.queues[queue]);
        if (rate > 0) next = std::min(next, now_ + w.queues[queue].left / rate);
    }
    return next;
}

void Naive::advance(double to) {
    const double span = to - now_;
    for (const auto& [wire, queue] : active_) {
        Wire& w = wires_[wire];
        Queue& q = w.queues[queue];
        q.left -= rate_of(w, q) * span;
        for (const std::size_t l : q.lanes)
            for (const auto& [link, load] : w.lanes[l].loads)
                result_.carried[link] += w.lanes[l].rate * load * span;
    }
    now_ = to;
}

void Naive::mark_dead() {
    for (Wire& w : wires_)
        for (Lane& lane : w.lanes)
            lane.dead = std::any_of(lane.loads.begin(), lane.loads.end(),
                                    [&](const auto& load) { return capacity_[load.first] <= 0; });
}

/// Capacities change at the failure; lanes are chosen anew when routing has converged.
void Naive::apply_failures() {
    for (std::size_t f = 0; f < s_.failures.size(); ++f) {
        const NaiveFailure& x = s_.failures[f];
        if (fired_[2 * f] == 0 && x.at <= now_) {
            fired_[2 * f] = 1;
            capacity_[x.link.index()] = bytes_per_second(x.rate);
            if (x.both_directions) capacity_[reverse(x.link).index()] = bytes_per_second(x.rate);
            mark_dead();
        }
        if (fired_[2 * f + 1] == 0 && x.at + x.convergence <= now_) {
            fired_[2 * f + 1] = 1;
            health_.set_rate(x.link, x.rate);
            if (x.both_directions) health_.set_rate(reverse(x.link), x.rate);
            router_.health_changed();
            for (Wire& w : wires_) choose_lanes(w);
            mark_dead();
        }
    }
}

NaiveResult Naive::run() {
    apply_failures();
    for (std::size_t c = 0; c < connections_.size(); ++c) post(c);
    while (!active_.empty() || !landings_.empty()) {
        fill();
        ++result_.events;
        double next = next_finish();
        if (!landings_.empty()) next = std::min(next, landings_.top().time);
        for (std::size_t f = 0; f < s_.failures.size(); ++f) {
            const NaiveFailure& x = s_.failures[f];
            if (fired_[2 * f] == 0) next = std::min(next, x.at);
            if (fired_[2 * f + 1] == 0) next = std::min(next, x.at + x.convergence);
        }
        if (next == kForever) {
            result_.finished = false;
            break;
        }
        const double slack = kSameTime * (next - now_) + 1e-15;
        advance(next);
        apply_failures();
        std::vector<std::pair<std::size_t, std::size_t>> running;
        std::vector<std::pair<std::size_t, std::size_t>> done;
        for (const auto& [wire, queue] : active_) {
            Wire& w = wires_[wire];
            Queue& q = w.queues[queue];
            if (q.left <= rate_of(w, q) * slack + 1e-6) {
                done.emplace_back(wire, queue);
            } else {
                running.emplace_back(wire, queue);
            }
        }
        active_ = std::move(running);
        for (const auto& [wire, queue] : done) {
            const std::size_t connection = wires_[wire].queues[queue].posted.front().connection;
            finish(wires_[wire], wires_[wire].queues[queue]);
            begin(wire, queue);
            post(connection);
        }
        while (!landings_.empty() && landings_.top().time <= now_ + slack) {
            const Landing l = landings_.top();
            landings_.pop();
            land(l);
        }
    }
    return std::move(result_);
}

}  // namespace

double NaiveResult::last() const {
    double latest = 0;
    for (const double e : end) latest = std::max(latest, e);
    return latest;
}

NaiveResult naive_fluid(const NaiveScenario& scenario) {
    return Naive{scenario}.run();
}

}  // namespace weft::tests
