#include "simulator/flow/traffic.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/check.hpp"

namespace weft::flow {
namespace {

constexpr std::int64_t kBitsPerGib = std::int64_t{8} << 30;
constexpr std::uint32_t kElementSize = 4;  // slices are cut at multiples of 64 bytes anyway
constexpr Int128 kPsPerSecond = 1'000'000'000'000;

bool same_cells(const Partition& a, const Partition& b) {
    return a.size == b.size && a.stride == b.stride && a.order == b.order;
}

/// Consecutive stages over the same cells use the same connections: one phase. Phases of a channel
/// are numbered in order; returns the greatest number of a channel's.
std::uint32_t number_phases(const PlanTemplate& plan, std::vector<std::uint32_t>& phase_of) {
    std::uint32_t most = 0;
    for (const Channel& c : plan.channels) {
        std::uint32_t phase = 0;
        for (std::size_t s = 0; s < c.stages.size(); ++s) {
            if (s > 0 && !same_cells(c.stages[s - 1].cells, c.stages[s].cells)) ++phase;
            phase_of.push_back(phase);
        }
        most = std::max(most, phase + 1);
    }
    return most;
}

/// Time of a load (bits per GiB x kFull) on a link; 0 on a dead one.
std::int64_t time_on(const Health& health, std::uint32_t link, Int128 load) {
    const std::int64_t rate = health.rate(LinkId{link}).bits_per_second();
    if (rate == 0) return 0;
    return static_cast<std::int64_t>(ceil_div(ceil_div(load, kFull) * kPsPerSecond, rate));
}

/// The slowest rate so far; 0: none.
std::int64_t slower(std::int64_t so_far, const EdgeLanes& lanes) {
    if (lanes.lanes() == 0) return so_far;
    return so_far == 0 ? lanes.alone : std::min(so_far, lanes.alone);
}

std::int64_t longest(const Health& health, const SparseSums& by_link) {
    std::int64_t most = 0;
    for (const std::uint32_t l : by_link.touched())
        most = std::max(most, time_on(health, l, by_link[l]));
    return most;
}

}  // namespace

void SparseSums::clear() {
    for (const std::uint32_t i : touched_) sums_[i] = 0;
    touched_.clear();
}

Traffic::Traffic(const PlanTemplate& plan, std::uint64_t plan_key, std::vector<RankId> members,
                 const Surroundings& around)
    : plan_(&plan),
      plan_key_(plan_key),
      members_(std::move(members)),
      placement_(around.placement),
      makers_(around.makers),
      legs_(around.legs),
      epochs_(around.makers.size()),
      in_network_per_mille_(around.in_network_per_mille),
      flows_(plan.collective == Collective::kAllToAll) {
    WEFT_CHECK(plan.n == members_.size(), "a plan for {} ranks, {} members", plan.n,
               members_.size());
    for (const Channel& c : plan.channels) total_weight_ += c.weight;
    std::map<HostId, std::size_t> hosts;
    for (const RankId r : members_) ++hosts[around.fabric->gpu(around.placement->gpu(r)).host];
    hosts_ = hosts.size();
    for (const auto& [host, held] : hosts)
        spread_evenly_ = spread_evenly_ && held * hosts_ == members_.size();
    phases_ = number_phases(plan, phase_of_);
    for (const Channel& c : plan.channels)
        for (const Stage& stage : c.stages) {
            all_direct_ = all_direct_ && std::holds_alternative<Direct>(stage.pattern);
            all_rings_ = all_rings_ && std::holds_alternative<Ring>(stage.pattern);
        }
    on_demand_ = flows_ && makers_.front()->pooled();
    if (!flows_) stored_.resize(plan.channels.size());
    for (std::size_t e = 0; e < makers_.size(); ++e)
        build_epoch(e, *around.health[e], *around.scratch);
    if (flows_ && !on_demand_) store_flows();
}

Int128 Traffic::weight_of(std::size_t channel) const {
    return plan_->channels[channel].weight;
}

void Traffic::lanes_of(std::size_t epoch, std::size_t channel, std::uint32_t src, std::uint32_t dst,
                       EdgeLanes& out) const {
    makers_[epoch]->edge(*placement_, members_[src], members_[dst], plan_->channels[channel].rail,
                         channel, out);
}

void Traffic::build_epoch(std::size_t epoch, const Health& health, TrafficScratch& b) {
    if (b.phase.size() < phases_) b.phase.resize(phases_);
    if (b.phase_link.size() < phases_) b.phase_link.resize(phases_);
    b.ends.begin(plan_->n);
    for (std::size_t c = 0; c < plan_->channels.size(); ++c) {
        b.ends.begin_channel(phases_);
        add_channel(c, epoch, b);
        b.ends.end_channel(weight_of(c), total_weight_, plan_->channels[c].units);
        if (!flows_) add_stream(c, b);
        b.stream.clear();
    }
    epochs_[epoch].ends = b.ends.end();
    price(epoch, health, b);
}

/// Adds the lanes at hand, which carry so many units.
void Traffic::add_edge(std::size_t channel, std::size_t epoch, std::uint64_t units,
                       SparseSums& phase, TrafficScratch& b, std::int64_t per_mille) const {
    const bool pooled = makers_[epoch]->pooled();
    const Int128 gib = kBitsPerGib * weight_of(channel);
    const Int128 all_units = total_weight_ * plan_->channels[channel].units;
    Int128 total = 0;
    for (const std::int64_t c : b.lanes.capacity) total += pooled ? c : 1;
    for (std::size_t i = 0; i < b.lanes.lanes(); ++i) {
        const Int128 mine = pooled ? b.lanes.capacity[i] : 1;
        const Int128 share = ceil_div(kOne * mine * per_mille, total * 1000) * units;
        for (const LegLoad& l : b.lanes.lane(i)) {
            const Int128 load = share * l.weight;
            if (!flows_) b.stream.add(l.leg, load);
            phase.add(l.leg, ceil_div(gib * load, all_units));
        }
    }
}

std::optional<Hop> Traffic::add_switched(std::size_t channel, std::size_t epoch, const Stage& stage,
                                         std::uint32_t cell, SparseSums& phase,
                                         TrafficScratch& b) const {
    LaneMaker& maker = *makers_[epoch];
    std::vector<LinkId> up;
    for (std::uint32_t p = 0; p < stage.cells.size; ++p) {
        const RankId r = members_[stage.cells.rank_at(cell, p)];
        up.push_back(maker.reducing_switch(placement_->gpu(r)));
        if (!up.back().valid() || maker.hub(up.back()) != maker.hub(up.front())) return {};
    }
    const Direct& direct = std::get<Direct>(stage.pattern);
    const std::uint64_t own = direct.send_chunks.span;
    const std::uint64_t all = own * stage.cells.size;
    Hop hop{.latency = {}, .scale_up = true};
    for (const LinkId l : up) {
        maker.one_link(l, b.lanes);
        add_edge(channel, epoch, direct.by_destination ? all : own, phase, b,
                 in_network_per_mille_);
        const SimDuration there = b.lanes.latency;
        maker.one_link(reverse(l), b.lanes);
        add_edge(channel, epoch, direct.by_destination ? own : all, phase, b,
                 in_network_per_mille_);
        hop.latency = std::max(hop.latency, there + b.lanes.latency);
    }
    b.ends.switched(all);
    return hop;
}

/// Adds every edge of a channel to the loads of its phases and of its stream.
void Traffic::add_channel(std::size_t channel, std::size_t epoch, TrafficScratch& b) {
    std::size_t stage_index = 0;
    for (std::size_t c = 0; c < channel; ++c) stage_index += plan_->channels[c].stages.size();
    EpochTraffic& e = epochs_[epoch];
    Fill fill;
    b.connected = true;
    b.phase_units.assign(phases_, 0);
    e.phase_fill.resize(phases_);
    std::vector<Fill> phase_fill(phases_);
    const std::size_t first_ring = e.rings.size();
    std::uint64_t messages_up = 0;
    std::uint64_t messages_net = 0;
    HandOn hand_on;
    for (const Stage& stage : plan_->channels[channel].stages) {
        const std::uint32_t phase = phase_of_[stage_index++];
        Int128 units = 0;
        const bool direct = std::holds_alternative<Direct>(stage.pattern);
        const bool in_tree = std::holds_alternative<Tree>(stage.pattern);
        b.ends.begin_stage(in_tree);
        const auto edge = [&](std::uint32_t s, std::uint32_t d, std::uint64_t count) -> Hop {
            lanes_of(epoch, channel, s, d, b.lanes);
            if (direct) ++(b.lanes.scale_up ? messages_up : messages_net);
            if (b.lanes.lanes() == 0) b.connected = false;
            if (in_tree) {
                std::int64_t& rate =
                    b.lanes.scale_up ? hand_on.scale_up_rate : hand_on.network_rate;
                rate = slower(rate, b.lanes);
            }
            b.ends.edge(s, d, count, b.lanes);
            units += count;
            add_edge(channel, epoch, count, b.phase[phase], b);
            return {b.lanes.latency, b.lanes.scale_up};
        };
        const auto switched = [&](std::uint32_t cell) {
            const std::optional<Hop> hop =
                add_switched(channel, epoch, stage, cell, b.phase[phase], b);
            ++(hop ? e.switched_cells : e.sent_cells);
            if (hop) messages_up += stage.cells.size;
            return hop;
        };
        const Fill stage_fill = walk_edges(stage, plan_->n, edge, switched);
        fill.add(stage_fill);
        phase_fill[phase].add(stage_fill);
        b.phase_units[phase] += units;
        const auto* ring = std::get_if<Ring>(&stage.pattern);
        b.ends.end_stage(phase, ring != nullptr);
        const bool tree = in_tree && units > 0;
        if (tree) hand_on.scale_up += stage_fill.scale_up;
        if (tree) hand_on.network += stage_fill.network;
        if (phases_ > 1 && (tree || (ring != nullptr && ring->steps > 0)))
            e.rings.push_back({.steps = tree ? 1 : ring->steps,
                               .fill = stage_fill,
                               .phase = phase,
                               .units = units});
    }
    for (std::size_t r = first_ring; r < e.rings.size(); ++r)
        e.rings[r].phase_units = b.phase_units[e.rings[r].phase];
    for (std::uint32_t p = 0; p < phases_; ++p)
        if (phase_fill[p].longer_than(e.phase_fill[p])) e.phase_fill[p] = phase_fill[p];
    if (fill.longer_than(e.fill)) e.fill = fill;
    if (hand_on.scale_up + hand_on.network > e.hand_on.scale_up + e.hand_on.network)
        e.hand_on = hand_on;
    const std::uint64_t n = plan_->n;
    e.messages_scale_up =
        std::max(e.messages_scale_up, static_cast<std::uint32_t>((messages_up + n - 1) / n));
    e.messages_network =
        std::max(e.messages_network, static_cast<std::uint32_t>((messages_net + n - 1) / n));
}

/// Makes the one stream of a pipelined channel of the sums, relative to its most loaded link.
void Traffic::add_stream(std::size_t channel, TrafficScratch& b) {
    Int128 most = 0;
    for (const LegId leg : b.stream.touched())
        for (const LegPart& p : legs_->parts(leg))
            b.link.add(p.link.value(), b.stream[leg] * p.weight);
    for (const std::uint32_t l : b.link.touched()) most = std::max(most, b.link[l]);
    b.link.clear();
    Stored& s = stored_[channel];
    EdgeLanes& lane = s.lanes.emplace_back();
    if (b.connected && most > 0) {
        for (const LegId leg : b.stream.touched())
            lane.legs.push_back(
                {leg, static_cast<std::uint32_t>(ceil_div(b.stream[leg] * kFull, most))});
        lane.end_lane(0);
    }
    s.num.push_back(weight_of(channel) * ceil_div(most, kFull));
    s.den = total_weight_ * plan_->channels[channel].units * kOne;
}

void Traffic::price(std::size_t epoch, const Health& health, TrafficScratch& b) {
    for (std::uint32_t p = 0; p < phases_; ++p) {
        for (const LegId leg : b.phase[p].touched())
            for (const LegPart& part : legs_->parts(leg)) {
                const Int128 load = ceil_div(b.phase[p][leg] * part.weight, kOne);
                b.link.add(part.link.value(), load);
                if (phases_ > 1) b.phase_link[p].add(part.link.value(), load);
            }
        b.phase[p].clear();
    }
    epochs_[epoch].flow_ps_per_gib = longest(health, b.link);
    if (phases_ > 1) {
        add_spans(epoch, health, b);
        for (RingStage& r : epochs_[epoch].rings)
            r.ps_per_gib = static_cast<std::int64_t>(
                ceil_div(longest(health, b.phase_link[r.phase]) * r.units, r.phase_units));
    }
    for (std::uint32_t p = 0; p < phases_; ++p) b.phase_link[p].clear();
    b.link.clear();
}

void Traffic::add_spans(std::size_t epoch, const Health& health, const TrafficScratch& b) {
    std::vector<std::int64_t> alone;
    for (std::uint32_t p = 0; p < phases_; ++p) {
        alone.push_back(longest(health, b.phase_link[p]));
        epochs_[epoch].phases_ps_per_gib += alone.back();
    }
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::int64_t> own;
    for (const std::uint32_t l : b.link.touched()) {
        std::uint32_t first = 0;
        std::uint32_t last = phases_ - 1;
        while (b.phase_link[first][l] == 0) ++first;
        while (b.phase_link[last][l] == 0) --last;
        std::int64_t& most = own[{first, last}];
        most = std::max(most, time_on(health, l, b.link[l]));
    }
    for (const auto& [span, most] : own) {
        PhaseSpan s{.own_ps_per_gib = most, .outside_ps_per_gib = 0, .outside = {}};
        for (std::uint32_t p = 0; p < phases_; ++p) {
            if (p >= span.first && p <= span.second) continue;
            s.outside_ps_per_gib += alone[p];
            s.outside.add(epochs_[epoch].phase_fill[p]);
        }
        epochs_[epoch].spans.push_back(s);
    }
}

template <class F>
void Traffic::for_each_flow(const F& see) const {
    for (std::size_t c = 0; c < plan_->channels.size(); ++c)
        for (const Stage& stage : plan_->channels[c].stages)
            walk_edges(stage, plan_->n,
                       [&](std::uint32_t s, std::uint32_t d, std::uint64_t units) -> Hop {
                           see(c, s, d, units);
                           return {};
                       });
}

/// Flows with fixed parts: one stored stream per QP. An epoch with fewer paths keeps its number
/// of streams: those beyond the last path share it.
void Traffic::store_flows() {
    for_each_flow([&](std::size_t c, std::uint32_t s, std::uint32_t d, std::uint64_t units) {
        std::vector<EdgeLanes> by_epoch(makers_.size());
        std::size_t most = 0;
        for (std::size_t e = 0; e < makers_.size(); ++e) {
            lanes_of(e, c, s, d, by_epoch[e]);
            most = std::max(most, by_epoch[e].lanes());
        }
        for (std::size_t q = 0; q < most; ++q) {
            Stored one;
            one.den = total_weight_ * plan_->channels[c].units * Int128(most);
            for (const EdgeLanes& l : by_epoch) {
                one.num.push_back(weight_of(c) * Int128(units));
                EdgeLanes& lane = one.lanes.emplace_back();
                if (l.lanes() == 0) continue;
                const auto legs = l.lane(q % l.lanes());
                lane.legs.assign(legs.begin(), legs.end());
                lane.end_lane(l.capacity[q % l.lanes()]);
            }
            stored_.push_back(std::move(one));
        }
    });
}

void Traffic::visit(const std::function<void(const StreamView&)>& see) const {
    if (!on_demand_) {
        for (const Stored& s : stored_) see({s.num, s.den, s.lanes});
        return;
    }
    std::vector<EdgeLanes> lanes(makers_.size());
    std::vector<Int128> num(makers_.size());
    for_each_flow([&](std::size_t c, std::uint32_t s, std::uint32_t d, std::uint64_t units) {
        for (std::size_t e = 0; e < makers_.size(); ++e) {
            lanes_of(e, c, s, d, lanes[e]);
            num[e] = weight_of(c) * Int128(units);
        }
        see({num, total_weight_ * plan_->channels[c].units, lanes});
    });
}

Cut Traffic::fewest_loops(Bytes size) const {
    const Binding binding = bind_total(*plan_, size, kElementSize);
    Cut least = cut(*plan_, binding, 0);
    for (std::size_t c = 1; c < plan_->channels.size(); ++c) {
        const Cut one = cut(*plan_, binding, c);
        if (one.loops < least.loops) least = one;
    }
    least.loops = std::max(least.loops, 1U);
    least.loop_slices = std::max(least.loop_slices, 1U);
    return least;
}

/// Slices that a tree hands on whole; one hop, the slowest, is what the flow counts.
Int128 Traffic::handing_on(const Cut& c, const HandOn& h, const StepCosts& costs,
                           std::int64_t overhead_per_mille) {
    const Int128 bits = Int128{8} * static_cast<std::int64_t>(c.slice_elements) * kElementSize *
                        overhead_per_mille * kPsPerSecond / 1000;
    const auto hop = [&](std::int64_t rate, std::int64_t most) -> Int128 {
        if (rate == 0) return 0;
        return ceil_div(bits, most > 0 ? std::min(rate, most) : rate);
    };
    const Int128 up = hop(h.scale_up_rate, costs.channel_bits_per_second);
    const Int128 network = hop(h.network_rate, 0);
    return std::max<Int128>(up * h.scale_up + network * h.network - std::max(up, network), 0);
}

Traffic::Margin Traffic::margin(Bytes size, std::size_t epoch, const StepCosts& costs,
                                std::int64_t overhead_per_mille) const {
    const EpochTraffic& e = epochs_[epoch];
    const Int128 fill = costs.of(e.fill).ps();
    const Cut c = fewest_loops(size);
    const Int128 handed = handing_on(c, e.hand_on, costs, overhead_per_mille);
    if (e.spans.empty())
        return {.before = costs.of(e.fill),
                .after = SimDuration{static_cast<std::int64_t>(handed)}};
    const auto of_size = [&](std::int64_t per_gib) {
        return ceil_div(Int128{per_gib} * size.count() * overhead_per_mille,
                        (Int128{1} << 30) * 1000);
    };
    const std::int64_t parts = all_direct_ ? std::int64_t{c.loops} * c.loop_slices : c.loops;
    Int128 end = 0;
    Int128 flow = 0;
    for (const PhaseSpan& s : e.spans) {
        const Int128 own = of_size(s.own_ps_per_gib);
        flow = std::max(flow, own);
        end = std::max(
            end, own + costs.of(s.outside).ps() + ceil_div(of_size(s.outside_ps_per_gib), parts));
    }
    Int128 loop = 0;
    for (const RingStage& r : e.rings) {
        const Int128 bytes = of_size(r.ps_per_gib);
        const Int128 repeated = Int128{costs.of(r.fill).ps()} * (r.steps - 1) / r.steps;
        loop = std::max({loop, ceil_div(bytes, c.loops),
                         repeated + ceil_div(bytes, Int128{c.loops} * c.loop_slices)});
    }
    if (!e.rings.empty())
        end = std::max(
            end, fill + ceil_div(of_size(e.phases_ps_per_gib), c.loops) + (c.loops - 1) * loop);
    end += handed;
    const Int128 before = std::min(fill, end - flow);
    return {.before = SimDuration{static_cast<std::int64_t>(before)},
            .after = SimDuration{static_cast<std::int64_t>(end - flow - before)}};
}

}  // namespace weft::flow
