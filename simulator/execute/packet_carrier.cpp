#include "simulator/execute/packet_carrier.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "simulator/packet/summary.hpp"

namespace weft {
namespace {

constexpr std::uint32_t kElementSize = 4;  // as the flow engine has it
constexpr std::size_t kPaths = 4;          // of a port, where the library does not say
constexpr std::size_t kAtOnce = 16;

std::uint64_t key_of(std::uint32_t channel, std::uint32_t stage, std::uint32_t peer,
                     std::uint32_t sequence) {
    return mix64(mix64(channel, stage), mix64(peer, sequence));
}

}  // namespace

PacketCarrier::PacketCarrier(const Scenario& s, const flow::Universe& u,
                             const std::vector<flow::LaneMaker*>& makers,
                             const std::deque<Health>& known)
    : s_(&s),
      u_(&u),
      makers_(&makers),
      known_(&known),
      troubles_(*s.fabric, s.failures),
      network_(*s.fabric, s.packet) {
    set_links(SimTime{});
}

PacketCarrier::~PacketCarrier() = default;

/// Links are as they are in the epoch that begins now, and switches know of it what routing does.
void PacketCarrier::set_links(SimTime now) {
    const Fabric& fabric = *s_->fabric;
    const Int128 payload = s_->packet.payload.count();
    const Int128 wire = payload + s_->packet.header.count();
    for (std::uint32_t l = 0; l < fabric.links().size(); ++l) {
        const Link& link = fabric.links()[l];
        std::int64_t rate = u_->capacity[epoch_][l];
        if (link.kind == LinkKind::kAccess || link.kind == LinkKind::kFabric)
            rate = std::min<std::int64_t>(link.capacity.bits_per_second(),
                                          static_cast<std::int64_t>(rate * wire / payload));
        if (network_.rate(LinkId{l}).bits_per_second() != rate)
            network_.set_rate(LinkId{l}, Bandwidth{rate});
    }
    troubles_.apply(network_, now);
    network_.routing_knows((*known_)[u_->lanes_of_epoch[epoch_]]);
}

/// The ways of a pipe now, by the NIC port that they leave by: at most so many a port, or, where
/// bytes are split statically, each by itself.
std::vector<std::vector<Route>> PacketCarrier::routes_of(const Pipe& p, std::size_t most) const {
    std::vector<Route> routes;
    (*makers_)[u_->lanes_of_epoch[epoch_]]->routes(s_->placement, p.src, p.dst, p.rail, p.channel,
                                                   most, routes);
    const auto leaves_by = [&](const Route& r) {
        const auto access = std::find_if(r.links.begin(), r.links.end(), [&](LinkId l) {
            return s_->fabric->link(l).kind == LinkKind::kAccess;
        });
        return access == r.links.end() ? r.links.front() : *access;
    };
    std::vector<std::vector<Route>> ports;
    for (Route& r : routes) {
        const bool apart = ports.empty() || splits_statically(s_->library) ||
                           leaves_by(ports.back().front()) != leaves_by(r);
        if (apart) ports.emplace_back();
        ports.back().push_back(std::move(r));
    }
    return ports;
}

void PacketCarrier::make_ports(Pipe& p) {
    const std::vector<std::vector<Route>> routes = routes_of(p, 1);
    if (routes.empty())
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "workload",
                           .found = "no way from rank " + std::to_string(p.src.value()) +
                                    " to rank " + std::to_string(p.dst.value()),
                           .expected = "a healthy path between all ranks that communicate",
                           .example = {}});
    const std::vector<LinkId>& links = routes.front().front().links;
    p.scale_up = s_->fabric->link(links.front()).kind == LinkKind::kScaleUp && links.size() <= 2;
    const bool one = p.scale_up || splits_statically(s_->library);
    const std::uint32_t wanted = s_->library.qps_per_connection;
    const std::size_t lanes = one ? 1 : wanted == 0 ? kPaths : wanted;
    for (std::size_t i = 0; i < routes.size(); ++i)
        p.ports.push_back({{}, LeastOutstanding(std::vector<std::uint64_t>(lanes, 1))});
}

/// A lane of a port; its queue pair is made when it is first used.
PacketCarrier::Lane& PacketCarrier::lane_of(Pipe& p, std::uint32_t port, std::uint32_t lane) {
    std::vector<Lane>& lanes = p.ports[port].lanes;
    if (lane < lanes.size()) return lanes[lane];
    WEFT_CHECK(lane == lanes.size(), "lane {} before lane {}", lane, lanes.size());
    const std::vector<std::vector<Route>> routes = routes_of(p, lane + 1);
    // A port that has lost its ways since shares those of another.
    const std::vector<Route>& ways = routes[port % routes.size()];
    const Route& r = ways[lane % ways.size()];
    return lanes.emplace_back(Lane{network_.connect(packet::path_of(*s_->fabric, r)),
                                   packet::latency_outside(*s_->fabric, r)});
}

/// Queue pairs take the ways that there are now; with none left, they wait for the old ones.
void PacketCarrier::reroute(Pipe& p) {
    std::size_t most = 1;
    for (const Port& q : p.ports) most = std::max(most, q.lanes.size());
    const std::vector<std::vector<Route>> routes = routes_of(p, most);
    if (routes.empty()) return;
    // Ports that were dead when the pipe was made are back.
    const std::vector<std::uint64_t> lanes(p.ports.front().balance.lanes(), 1);
    while (!p.scale_up && !splits_statically(s_->library) && p.ports.size() < routes.size())
        p.ports.push_back({{}, LeastOutstanding(lanes)});
    for (std::size_t i = 0; i < p.ports.size(); ++i) {
        const std::vector<Route>& ways = routes[i % routes.size()];
        for (std::size_t l = 0; l < p.ports[i].lanes.size(); ++l)
            network_.move(p.ports[i].lanes[l].connection,
                          packet::path_of(*s_->fabric, ways[l % ways.size()]));
    }
}

std::uint32_t PacketCarrier::pipe_of(RankId src, RankId dst, std::uint32_t channel,
                                     std::int32_t rail) {
    const std::uint32_t own = splits_statically(s_->library) ? channel + 1 : 0;
    const std::uint64_t key = mix64(mix64(src.value(), dst.value()),
                                    mix64(own, static_cast<std::uint64_t>(std::int64_t{rail})));
    const auto [at, fresh] = pipe_index_.try_emplace(key, pipes_.size());
    if (fresh) {
        Pipe& p = pipes_.emplace_back();
        p.src = src;
        p.dst = dst;
        p.rail = rail;
        p.channel = channel;
        make_ports(p);
    }
    return at->second;
}

void PacketCarrier::start(const Carried& c, SimTime now) {
    catch_up(now);
    const std::uint32_t id = take(jobs_, free_jobs_);
    const flow::GroupSet& set = u_->sets[c.group.set];
    Job& job = jobs_[id];
    job.what = c;
    job.plan = &set.traffic[c.variant][c.index]->plan();
    job.ranks = set.members[c.index];
    job.start = now;
    job.left = job.ranks.size();
    job.members.clear();
    job.members.resize(job.ranks.size());
    find_switches(job);
    ++running_;
    const Binding binding = bind_total(*job.plan, c.size, kElementSize);
    for (std::uint32_t m = 0; m < job.ranks.size(); ++m)
        job.members[m].cursor = std::make_unique<Cursor>(*job.plan, binding, m);
    const auto members = static_cast<std::uint32_t>(job.ranks.size());
    for (std::uint32_t m = 0; m < members; ++m) pump(id, m);
}

void PacketCarrier::pump(std::uint32_t job, std::uint32_t member) {
    std::array<Operation, kAtOnce> ops;
    while (std::size_t n = jobs_[job].members[member].cursor->next(ops)) {
        for (std::size_t i = 0; i < n; ++i) {
            switch (ops[i].kind) {
                case Operation::Kind::kCopy:
                    jobs_[job].members[member].cursor->copied(ops[i]);
                    break;
                case Operation::Kind::kReceive:
                    ask(job, member, ops[i]);
                    break;
                case Operation::Kind::kSend:
                    post(job, member, ops[i]);
                    break;
            }
        }
    }
    finish_member(job, member);
}

void PacketCarrier::finish_member(std::uint32_t id, std::uint32_t member) {
    Job& job = jobs_[id];
    Member& m = job.members[member];
    if (m.finished || !m.cursor->done()) return;
    m.finished = true;
    if (--job.left > 0) return;
    after(std::max(SimDuration{}, job.start + job.what.price.least - network_.now()), Due::kEnded,
          id);
}

void PacketCarrier::ask(std::uint32_t job, std::uint32_t member, const Operation& op) {
    Member& m = jobs_[job].members[member];
    const std::uint64_t key = key_of(op.channel, op.stage, op.peer, op.sequence);
    if (m.early.erase(key) != 0) return m.cursor->arrived(op);
    m.asked.emplace(key, op);
    if (switched(jobs_[job], member, op)) pull(job, member, op);
}

/// On the wire, with what the protocol adds.
Bytes PacketCarrier::bytes_of(const Job& job, const Operation& op) const {
    return Bytes{static_cast<std::int64_t>(Int128{op.elements} * kElementSize *
                                           job.what.price.overhead_per_mille / 1000)};
}

void PacketCarrier::post(std::uint32_t id, std::uint32_t member, const Operation& op) {
    const Job& job = jobs_[id];
    if (switched(job, member, op)) return post_switched(id, member, op);
    const std::uint32_t t = take(transits_, free_transits_);
    const std::int64_t bytes = bytes_of(job, op).count();
    const std::uint32_t pipe = pipe_of(job.ranks[member], job.ranks[op.peer], op.channel,
                                       job.plan->channels[op.channel].rail);
    // What fits into a packet for each port is not worth cutting.
    const auto ports = static_cast<std::int64_t>(pipes_[pipe].ports.size());
    const std::int64_t parts =
        bytes <= ports * s_->packet.payload.count() && !splits_statically(s_->library)
            ? 1
            : std::min(ports, bytes);
    transits_[t] = {.job = id,
                    .src = member,
                    .dst = op.peer,
                    .op = op,
                    .pipe = pipe,
                    .to_arrive = static_cast<std::uint32_t>(parts),
                    .to_acknowledge = static_cast<std::uint32_t>(parts),
                    .done_there = false,
                    .done_here = false};
    // The one part of a small operation takes the ports in turn.
    const std::uint32_t turn = parts == 1 ? op.sequence + op.channel : 0;
    for (std::int64_t i = 0; i < parts; ++i)
        send_on(pipe, static_cast<std::uint32_t>((i + turn) % ports),
                Bytes{bytes * (i + 1) / parts - bytes * i / parts}, {.transit = t});
}

void PacketCarrier::send_on(std::uint32_t pipe, std::uint32_t port, Bytes bytes, Part part) {
    Pipe& p = pipes_[pipe];
    Port& q = p.ports[port];
    part.lane = static_cast<std::uint32_t>(q.balance.choose(bytes).value_or(0));
    q.balance.post(part.lane, bytes);
    part.pipe = pipe;
    part.port = port;
    part.bytes = bytes;
    part.posted = network_.now();
    const std::uint32_t index = take(parts_, free_parts_);
    parts_[index] = part;
    network_.send(lane_of(p, port, part.lane).connection, bytes, index);
}

void PacketCarrier::after(SimDuration wait, Due what, std::uint32_t index) {
    timers_.push({network_.now() + wait, order_++, what, index});
}

void PacketCarrier::complain(const Pipe& p) const {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "workload",
                       .found = "rank " + std::to_string(p.src.value()) + " gave up sending to " +
                                (p.to_switch ? std::string("its scale-up switch")
                                             : "rank " + std::to_string(p.dst.value())) +
                                " at " + to_string(network_.now()),
                       .expected = "a healthy path between all ranks that communicate",
                       .example = {}});
}

/// Takes what the network has to tell at its time.
void PacketCarrier::hear() {
    for (const packet::Network::Report& r : network_.take_reports()) {
        const auto index = static_cast<std::uint32_t>(r.message);
        const Part part = parts_[index];
        Pipe& p = pipes_[part.pipe];
        Port& q = p.ports[part.port];
        if (r.what == packet::Network::What::kGaveUp) complain(p);
        if (r.what == packet::Network::What::kArrived) {
            part_arrived(part);
            continue;
        }
        q.balance.complete(part.lane, part.bytes);
        note_time(p, q.lanes[part.lane], part);
        free_parts_.push_back(index);
        part_acknowledged(part);
    }
}

void PacketCarrier::part_arrived(const Part& part) {
    if (goes_to_switch(part)) return at_switch(part.merge);
    if (part.role == Role::kCopy && part.transit == packet::kNone) return;  // an owner's own
    const bool merges = part.role == Role::kReduced;
    const std::uint32_t job = merges ? merges_[part.merge].job : transits_[part.transit].job;
    if (!merges && --transits_[part.transit].to_arrive > 0) return;
    const Pipe& p = pipes_[part.pipe];
    const flow::StepCosts& costs = jobs_[job].what.price.steps;
    after(
        p.ports[part.port].lanes[part.lane].outside + (p.scale_up ? costs.scale_up : costs.network),
        merges ? Due::kMerged : Due::kArrived, merges ? part.merge : part.transit);
}

void PacketCarrier::part_acknowledged(const Part& part) {
    if (goes_to_switch(part)) return switch_acknowledged(part);
    if (part.role != Role::kWhole) return;
    Transit& x = transits_[part.transit];
    if (--x.to_acknowledge > 0) return;
    const std::uint32_t job = x.job;
    const std::uint32_t src = x.src;
    jobs_[job].members[src].cursor->sent(x.op);
    x.done_here = true;
    release_if_done(part.transit);
    pump(job, src);
}

/// How long a message has taken, posted behind others of its queue pair or not.
void PacketCarrier::note_time(const Pipe& p, Lane& l, const Part& part) {
    if (!s_->packet.record) return;
    if (l.alone_for != part.bytes) {
        l.alone_for = part.bytes;
        l.alone = network_.alone(l.connection, part.bytes);
    }
    packet::CompletionTimes& times = p.scale_up ? scale_up_times_ : network_times_;
    times.add(part.bytes, network_.now() - part.posted, l.alone);
}

void PacketCarrier::release_if_done(std::uint32_t transit) {
    const Transit& x = transits_[transit];
    if (x.done_here && x.done_there) free_transits_.push_back(transit);
}

void PacketCarrier::arrived(std::uint32_t transit) {
    Transit& x = transits_[transit];
    const std::uint32_t job = x.job;
    const std::uint32_t dst = x.dst;
    Member& m = jobs_[job].members[dst];
    const std::uint64_t key = key_of(x.op.channel, x.op.stage, x.src, x.op.sequence);
    x.done_there = true;
    release_if_done(transit);
    const auto asked = m.asked.find(key);
    if (asked == m.asked.end()) {
        m.early.emplace(key, 0);
        return;
    }
    const Operation op = asked->second;
    m.asked.erase(asked);
    m.cursor->arrived(op);
    pump(job, dst);
}

/// Timers that are due.
void PacketCarrier::fire() {
    while (!timers_.empty() && timers_.top().at <= network_.now()) {
        const Timer t = timers_.top();
        timers_.pop();
        if (t.what == Due::kArrived) {
            arrived(t.index);
        } else if (t.what == Due::kMerged) {
            merged(t.index);
        } else {
            ended_.push_back(jobs_[t.index].what.group);
            free_jobs_.push_back(t.index);
            --running_;
        }
    }
}

/// The network's clock follows the machine's.
void PacketCarrier::catch_up(SimTime now) {
    while (network_.now() < now) {
        network_.wake_at(now);
        static_cast<void>(network_.run());
        hear();
    }
}

SimTime PacketCarrier::next_end(SimTime limit) {
    while (ended_.empty()) {
        fire();
        if (!ended_.empty()) break;
        if (running_ == 0 || network_.now() >= limit) return SimTime::never();
        const SimTime due = timers_.empty() ? SimTime::never() : timers_.top().at;
        network_.wake_at(std::min(due, limit));
        if (network_.run() == packet::Network::Stop::kIdle) return SimTime::never();
        hear();
    }
    return network_.now();
}

void PacketCarrier::take_ended(SimTime now, std::vector<GroupRef>& ended) {
    ended.clear();
    if (now < network_.now()) return;
    ended.swap(ended_);
}

void PacketCarrier::set_epoch(std::size_t epoch, SimTime now) {
    catch_up(now);
    const bool moved = u_->lanes_of_epoch[epoch] != u_->lanes_of_epoch[epoch_];
    epoch_ = epoch;
    set_links(now);
    if (!moved) return;
    for (Pipe& p : pipes_)
        if (!p.to_switch) reroute(p);
}

Int128 PacketCarrier::carried_bits(LinkId link) const {
    return Int128{8} * network_.counts(link).payload;
}

SimDuration PacketCarrier::busy(LinkId link) const {
    const Bandwidth rate = network_.rate(link);
    if (rate == Bandwidth{0}) return {};
    return transfer_time(Bytes{static_cast<std::int64_t>(network_.counts(link).bytes)}, rate);
}

PacketSummary PacketCarrier::summary() const {
    PacketSummary p = packet::summarize(*s_->fabric, network_);
    if (!network_times_.empty())
        p.completions.push_back(network_times_.summary("network messages"));
    if (!scale_up_times_.empty())
        p.completions.push_back(scale_up_times_.summary("scale-up messages"));
    return p;
}

}  // namespace weft
