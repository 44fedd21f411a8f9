#include "simulator/flow/refine.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace weft::flow {
namespace {

std::uint64_t mix(Int128 v) {
    return mix64(static_cast<std::uint64_t>(v), static_cast<std::uint64_t>(v >> 64));
}

std::size_t count_distinct(std::vector<std::uint64_t> colours) {
    std::sort(colours.begin(), colours.end());
    return static_cast<std::size_t>(std::unique(colours.begin(), colours.end()) - colours.begin());
}

/// All that the price of a group's collective depends on, besides its streams.
std::uint64_t fingerprint(const Traffic& t) {
    std::uint64_t h = t.plan_key();
    for (const EpochTraffic& e : t.epochs()) {
        h = mix64(h, static_cast<std::uint64_t>(e.fill.latency.ps()));
        h = mix64(h, (std::uint64_t{e.fill.scale_up} << 32) | e.fill.network);
        h = mix64(h, static_cast<std::uint64_t>(e.flow_ps_per_gib));
        h = mix64(h, static_cast<std::uint64_t>(e.hand_on.scale_up_rate + e.hand_on.network_rate));
        for (const RingStage& r : e.rings) {
            h = mix64(h, static_cast<std::uint64_t>(r.ps_per_gib));
            h = mix64(h, static_cast<std::uint64_t>(r.fill.latency.ps()));
            h = mix64(h, (std::uint64_t{r.fill.scale_up} << 32) | r.fill.network);
        }
        for (const PhaseSpan& s : e.spans) {
            h = mix64(h, static_cast<std::uint64_t>(s.own_ps_per_gib));
            h = mix64(h, static_cast<std::uint64_t>(s.outside_ps_per_gib));
            h = mix64(h, static_cast<std::uint64_t>(s.outside.latency.ps()));
        }
    }
    return h;
}

}  // namespace

Refinement::Refinement(const Universe& u)
    : u_(&u),
      rank_(u.rank_kind),
      link_(u.fabric->links().size()),
      leg_(u.legs->size()),
      leg_sum_(u.legs->size()),
      used_(u.fabric->links().size(), 0) {
    for (std::size_t l = 0; l < link_.size(); ++l)
        for (const std::vector<std::int64_t>& epoch : u.capacity)
            link_[l] = mix64(link_[l], static_cast<std::uint64_t>(epoch[l]));
    for (const GroupSet& set : u.sets) {
        std::vector<std::uint64_t>& colours = group_.emplace_back(set.kind);
        for (std::size_t g = 0; g < colours.size(); ++g)
            for (const auto& variant : set.traffic)
                colours[g] = mix64(colours[g], variant[g] ? fingerprint(*variant[g]) : 0);
        group_sum_.emplace_back(colours.size(), 0);
    }
}

std::uint64_t Refinement::stream(std::uint64_t group_colour, std::size_t variant,
                                 const StreamView& s, std::vector<std::uint64_t>& lanes) const {
    std::uint64_t colour = mix64(mix64(group_colour, variant), mix(s.den));
    lanes.clear();
    for (std::size_t e = 0; e < s.lanes.size(); ++e) {
        std::uint64_t sum = mix(s.num[e]);
        const EdgeLanes& epoch = s.lanes[e];
        for (std::size_t i = 0; i < epoch.lanes(); ++i) {
            std::uint64_t lane = 0;
            for (const LegLoad& l : epoch.lane(i)) lane += mix64(leg_[l.leg] ^ l.weight);
            lanes.push_back(lane);
            sum += mix64(lane);
        }
        colour = mix64(colour, sum);
    }
    for (std::uint64_t& lane : lanes) lane = mix64(lane, colour);
    return colour;
}

void Refinement::colour_legs() {
    for (LegId leg = 0; leg < leg_.size(); ++leg) {
        std::uint64_t sum = 0;
        for (const LegPart& p : u_->legs->parts(leg))
            sum += mix64(link_[p.link.index()] + p.weight);
        leg_[leg] = mix64(leg_[leg], sum);
        leg_sum_[leg] = 0;
    }
}

void Refinement::visit_streams() {
    std::vector<std::uint64_t> lanes;
    for (std::size_t set = 0; set < u_->sets.size(); ++set) {
        const auto& traffic = u_->sets[set].traffic;
        for (std::size_t v = 0; v < traffic.size(); ++v)
            for (std::size_t g = 0; g < traffic[v].size(); ++g) {
                if (!traffic[v][g]) continue;
                std::uint64_t& sum = group_sum_[set][g];
                const std::uint64_t base = mix64(group_[set][g], set);
                traffic[v][g]->visit([&](const StreamView& s) {
                    sum += mix64(stream(base, v, s, lanes));
                    std::size_t lane = 0;
                    for (std::size_t e = 0; e < s.lanes.size(); ++e)
                        for (std::size_t i = 0; i < s.lanes[e].lanes(); ++i, ++lane)
                            for (const LegLoad& l : s.lanes[e].lane(i))
                                leg_sum_[l.leg] += mix64(lanes[lane] + l.weight + e);
                });
            }
    }
}

void Refinement::colour_links() {
    std::vector<std::uint64_t> sum(link_.size(), 0);
    for (LegId leg = 0; leg < leg_.size(); ++leg) {
        if (leg_sum_[leg] == 0) continue;
        leg_[leg] = mix64(leg_[leg], leg_sum_[leg]);
        for (const LegPart& p : u_->legs->parts(leg)) {
            sum[p.link.index()] += mix64(leg_[leg] + p.weight);
            used_[p.link.index()] = 1;
        }
    }
    for (std::size_t l = 0; l < link_.size(); ++l) link_[l] = mix64(link_[l], sum[l]);
}

void Refinement::colour_groups() {
    for (std::size_t s = 0; s < u_->sets.size(); ++s)
        for (std::size_t g = 0; g < group_[s].size(); ++g) {
            std::uint64_t members = 0;
            std::uint64_t role = 0;
            for (const RankId r : u_->sets[s].members[g]) {
                members += mix64(rank_[r.index()], role);
                if (u_->sets[s].ordered) ++role;
            }
            group_[s][g] = mix64(mix64(group_[s][g], members), group_sum_[s][g]);
            group_sum_[s][g] = 0;
        }
}

void Refinement::colour_ranks() {
    std::vector<std::uint64_t> sum(rank_.size(), 0);
    for (std::size_t s = 0; s < u_->sets.size(); ++s)
        for (std::size_t g = 0; g < group_[s].size(); ++g) {
            std::uint64_t role = s << 8;
            for (const RankId r : u_->sets[s].members[g]) {
                sum[r.index()] += mix64(group_[s][g], role);
                if (u_->sets[s].ordered) ++role;
            }
        }
    for (std::size_t r = 0; r < rank_.size(); ++r) rank_[r] = mix64(rank_[r], sum[r]);
}

void Refinement::pass() {
    colour_legs();
    visit_streams();
    colour_links();
    colour_groups();
    colour_ranks();
}

std::size_t Refinement::distinct() const {
    std::size_t n = count_distinct(rank_) + count_distinct(leg_);
    std::vector<std::uint64_t> links;
    for (std::size_t l = 0; l < link_.size(); ++l)
        if (used_[l] != 0) links.push_back(link_[l]);
    n += count_distinct(std::move(links));
    for (const auto& set : group_) n += count_distinct(set);
    return n;
}

void Refinement::run() {
    std::size_t before = 0;
    while (true) {
        pass();
        const std::size_t now = distinct();
        if (now == before) return;
        before = now;
    }
}

}  // namespace weft::flow
