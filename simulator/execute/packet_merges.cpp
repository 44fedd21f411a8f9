// Collectives as packets: stages that a scale-up switch carries (Plan: Stage::in_network).
#include <algorithm>

#include "base/rng.hpp"
#include "simulator/execute/packet_carrier.hpp"

namespace weft {
namespace {

bool reduces(const Stage& s) {
    return std::get<Direct>(s.pattern).by_destination;
}

}  // namespace

/// Which cells have one switch that all their members reach; for the whole of the job.
void PacketCarrier::find_switches(Job& job) const {
    flow::LaneMaker& maker = *(*makers_)[u_->lanes_of_epoch[epoch_]];
    const auto hub = [&](std::uint32_t member) {
        const LinkId up = maker.reducing_switch(s_->placement.gpu(job.ranks[member]));
        return up.valid() ? maker.hub(up) : NodeId::none();
    };
    job.switched.clear();
    for (const Channel& channel : job.plan->channels) {
        std::vector<std::vector<char>>& stages = job.switched.emplace_back();
        for (const Stage& s : channel.stages) {
            std::vector<char>& cells = stages.emplace_back();
            if (!s.in_network || s.cells.size < 2) continue;
            for (std::uint32_t cell = 0; cell < job.plan->n / s.cells.size; ++cell) {
                const NodeId first = hub(s.cells.rank_at(cell, 0));
                bool all = first.valid();
                for (std::uint32_t p = 1; p < s.cells.size && all; ++p)
                    all = hub(s.cells.rank_at(cell, p)) == first;
                cells.push_back(all ? 1 : 0);
            }
        }
    }
}

bool PacketCarrier::switched(const Job& job, std::uint32_t member, const Operation& op) {
    const std::vector<char>& cells = job.switched[op.channel][op.stage];
    return !cells.empty() &&
           cells[job.plan->channels[op.channel].stages[op.stage].cells.cell(member)] != 0;
}

/// The merge of one chunk of `owner`: all of its parts have one sequence number.
std::uint32_t PacketCarrier::merge_of(std::uint32_t job, std::uint32_t owner, const Operation& op) {
    const std::uint64_t key =
        mix64(mix64(job, owner), mix64(mix64(op.channel, op.stage), op.sequence));
    const auto [at, fresh] = merge_index_.try_emplace(key, 0);
    if (!fresh) return at->second;
    const Stage& s = jobs_[job].plan->channels[op.channel].stages[op.stage];
    at->second = take(merges_, free_merges_);
    merges_[at->second] = {.key = key,
                           .job = job,
                           .owner = owner,
                           .channel = op.channel,
                           .reduces = reduces(s),
                           .members = s.cells.size,
                           .to_come = s.cells.size,
                           .bytes = switched_bytes(jobs_[job], op),
                           .waiting = {}};
    return at->second;
}

Bytes PacketCarrier::switched_bytes(const Job& job, const Operation& op) const {
    return Bytes{static_cast<std::int64_t>(
        ceil_div(Int128{bytes_of(job, op).count()} * in_network_per_mille(*s_), 1000))};
}

/// The link of a rank to its switch, or back, as a pipe of one connection; one a channel and
/// direction, so that what is reduced does not wait behind what is multicast.
std::uint32_t PacketCarrier::switch_pipe(RankId rank, std::uint32_t channel, bool up,
                                         bool reducing) {
    const auto [at, fresh] = switch_pipes_.try_emplace(
        mix64(rank.value(), 4 * std::uint64_t{channel} + (up ? 2 : 0) + (reducing ? 1 : 0)), 0);
    if (!fresh) return at->second;
    at->second = static_cast<std::uint32_t>(pipes_.size());
    flow::LaneMaker& maker = *(*makers_)[u_->lanes_of_epoch[epoch_]];
    const LinkId link = maker.reducing_switch(s_->placement.gpu(rank));
    WEFT_CHECK(link.valid(), "rank {} has no switch that reduces", rank.value());
    const LinkId there = up ? link : reverse(link);
    Pipe& p = pipes_.emplace_back();
    p.src = p.dst = rank;
    p.scale_up = p.to_switch = true;
    p.ports.push_back({{}, LeastOutstanding({1})});
    p.ports[0].lanes.push_back(Lane{network_.connect({{there}, {reverse(there)}}), {}, {}, {}});
    return at->second;
}

void PacketCarrier::give(std::uint32_t merge, RankId from, std::uint32_t transit) {
    const Merge& g = merges_[merge];
    send_on(switch_pipe(from, g.channel, true, g.reduces), 0, g.bytes,
            {.transit = transit,
             .merge = merge,
             .role = g.reduces ? Role::kToReduce : Role::kToMulticast});
}

void PacketCarrier::hand_out(std::uint32_t merge, std::uint32_t to, std::uint32_t transit) {
    const Merge& g = merges_[merge];
    send_on(switch_pipe(jobs_[g.job].ranks[to], g.channel, false, g.reduces), 0, g.bytes,
            {.transit = transit, .merge = merge, .role = g.reduces ? Role::kReduced : Role::kCopy});
}

/// A member gives a chunk to its owner, or an owner its chunk to a member, by the switch.
void PacketCarrier::post_switched(std::uint32_t id, std::uint32_t member, const Operation& op) {
    const std::uint32_t t = take(transits_, free_transits_);
    const RankId from = jobs_[id].ranks[member];
    transits_[t] = {.job = id,
                    .src = member,
                    .dst = op.peer,
                    .op = op,
                    .pipe = packet::kNone,
                    .to_arrive = 1,
                    .to_acknowledge = 1,
                    .done_there = false,
                    .done_here = false};
    const Stage& s = jobs_[id].plan->channels[op.channel].stages[op.stage];
    const std::uint32_t merge = merge_of(id, reduces(s) ? op.peer : member, op);
    Merge& g = merges_[merge];
    g.waiting.push_back(t);
    if (g.reduces) {
        if (g.given) give(merge, from, t);
        return;
    }
    if (!std::exchange(g.given, true)) return give(merge, from, packet::kNone);
    if (g.at_switch) hand_out(merge, op.peer, t);
    if (!merges_[merge].acknowledged) return;
    jobs_[id].members[member].cursor->sent(op);
    transits_[t].done_here = true;
    forget_if_done(merge);
}

/// An owner is ready for a reduced chunk: the switch takes the parts of all members, its own too
/// (a load that reduces: nobody gives before the owner asks).
void PacketCarrier::pull(std::uint32_t job, std::uint32_t member, const Operation& op) {
    if (!reduces(jobs_[job].plan->channels[op.channel].stages[op.stage])) return;
    const std::uint32_t merge = merge_of(job, member, op);
    if (std::exchange(merges_[merge].given, true)) return;
    give(merge, jobs_[job].ranks[member], packet::kNone);
    for (const std::uint32_t t : merges_[merge].waiting)
        give(merge, jobs_[job].ranks[transits_[t].src], t);
}

/// A part has reached the switch.
void PacketCarrier::at_switch(std::uint32_t merge) {
    Merge& g = merges_[merge];
    if (g.reduces) {
        if (--g.to_come == 0) hand_out(merge, g.owner, packet::kNone);
        return;
    }
    g.at_switch = true;
    const std::vector<std::uint32_t> waiting = g.waiting;
    hand_out(merge, g.owner, packet::kNone);  // its own copy
    for (const std::uint32_t t : waiting) hand_out(merge, transits_[t].dst, t);
    forget_if_done(merge);
}

/// The switch has all of a part: whoever gave it may go on. A reduction may be over by then, and
/// its place taken by another merge; a multicast is not.
void PacketCarrier::switch_acknowledged(const Part& part) {
    std::vector<std::uint32_t> sent;
    if (part.role == Role::kToReduce) {
        if (part.transit == packet::kNone) return;
        sent.push_back(part.transit);
    } else {
        merges_[part.merge].acknowledged = true;
        sent = merges_[part.merge].waiting;
    }
    if (sent.empty()) return;
    const std::uint32_t job = transits_[sent.front()].job;
    const std::uint32_t src = transits_[sent.front()].src;
    for (const std::uint32_t t : sent) {
        jobs_[job].members[src].cursor->sent(transits_[t].op);
        transits_[t].done_here = true;
        release_if_done(t);
    }
    if (part.role == Role::kToMulticast) forget_if_done(part.merge);
    pump(job, src);
}

/// The owner has its reduced chunk: all that its members sent has arrived.
void PacketCarrier::merged(std::uint32_t merge) {
    const std::vector<std::uint32_t> waiting = std::move(merges_[merge].waiting);
    for (const std::uint32_t t : waiting) arrived(t);
    // Only now: the owner may ask for the rest of it meanwhile.
    merge_index_.erase(merges_[merge].key);
    free_merges_.push_back(merge);
}

/// A multicast is over for the switch once all its members have asked for it.
void PacketCarrier::forget_if_done(std::uint32_t merge) {
    const Merge& g = merges_[merge];
    if (g.reduces || !g.at_switch || !g.acknowledged || g.waiting.size() + 1 < g.members) return;
    merge_index_.erase(g.key);
    free_merges_.push_back(merge);
}

}  // namespace weft
