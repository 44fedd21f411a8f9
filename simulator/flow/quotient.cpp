#include "simulator/flow/quotient.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "simulator/flow/refine.hpp"

namespace weft::flow {
namespace {

/// Numbers things by colour, in the order of their first member; all apart without symmetry.
class Numbering {
  public:
    explicit Numbering(bool symmetry) : symmetry_(symmetry) {}
    /// The class of the next thing, and whether it is new.
    std::pair<ClassId, bool> add(std::uint64_t colour) {
        if (!symmetry_) return {next_++, true};
        const auto [slot, fresh] = known_.try_emplace(colour, next_);
        if (fresh) ++next_;
        return {slot->second, fresh};
    }

  private:
    bool symmetry_;
    ClassId next_ = 0;
    std::unordered_map<std::uint64_t, ClassId> known_;
};

class Maker {
  public:
    Maker(const Universe& u, bool symmetry, WithStreams streams)
        : u_(u), symmetry_(symmetry), streams_(streams), colours_(u) {}

    Quotient make() {
        if (symmetry_) colours_.run();
        number_links();
        number_ranks();
        for (std::size_t s = 0; s < u_.sets.size(); ++s) number_groups(s);
        if (streams_ == WithStreams::kNo) return std::move(q_);
        q_.loads.resize(u_.lane_epochs);
        q_.lanes_in_row.resize(u_.lane_epochs);
        for (std::size_t s = 0; s < u_.sets.size(); ++s) add_streams(s);
        return std::move(q_);
    }

  private:
    void number_links();
    void number_ranks();
    void number_groups(std::size_t set);
    void add_streams(std::size_t set);
    void add_class(const StreamView& s, const std::vector<std::uint64_t>& lanes);
    void add_row(std::size_t epoch, std::span<const LegLoad> legs, std::uint32_t lanes);
    void spread_over_links(ClassId stream, std::uint64_t groups);
    [[nodiscard]] std::vector<char> used_links() const;

    const Universe& u_;
    bool symmetry_;
    WithStreams streams_;
    Refinement colours_;
    Quotient q_;
    std::vector<std::pair<ClassId, Int128>> scratch_;
};

std::vector<char> Maker::used_links() const {
    if (streams_ == WithStreams::kNo) return std::vector<char>(u_.fabric->links().size(), 1);
    std::vector<char> leg_used(u_.legs->size(), 0);
    for (const GroupSet& set : u_.sets)
        for (const auto& variant : set.traffic)
            for (const auto& t : variant)
                if (t)
                    t->visit([&](const StreamView& s) {
                        for (const EdgeLanes& e : s.lanes)
                            for (const LegLoad& l : e.legs) leg_used[l.leg] = 1;
                    });
    std::vector<char> used(u_.fabric->links().size(), 0);
    for (LegId leg = 0; leg < leg_used.size(); ++leg)
        if (leg_used[leg] != 0)
            for (const LegPart& p : u_.legs->parts(leg)) used[p.link.index()] = 1;
    return used;
}

void Maker::number_links() {
    const std::size_t links = u_.fabric->links().size();
    std::vector<char> used;
    if (!symmetry_) used = used_links();
    q_.class_of_link.assign(links, kNoClass);
    Numbering n(symmetry_);
    for (std::size_t l = 0; l < links; ++l) {
        if (symmetry_ ? !colours_.used(l) : used[l] == 0) continue;
        const auto [id, fresh] = n.add(colours_.link(l));
        if (fresh) q_.links.push_back({.first = LinkId{l}, .count = 0});
        ++q_.links[id].count;
        q_.class_of_link[l] = id;
    }
}

void Maker::number_ranks() {
    Numbering n(symmetry_);
    for (std::size_t r = 0; r < u_.rank_kind.size(); ++r) {
        const auto [id, fresh] = n.add(colours_.rank(r));
        if (fresh) {
            const std::vector<ClassId> none(u_.sets.size(), kNoClass);
            q_.ranks.push_back({.first = RankId{r}, .count = 0, .group = none, .received = none});
        }
        ++q_.ranks[id].count;
        q_.class_of_rank.push_back(id);
    }
}

void Maker::number_groups(std::size_t set) {
    const GroupSet& s = u_.sets[set];
    std::vector<GroupClass>& classes = q_.groups.emplace_back();
    Numbering n(symmetry_);
    for (std::uint32_t g = 0; g < s.members.size(); ++g) {
        if (s.members[g].empty()) continue;
        const auto [id, fresh] = n.add(colours_.group(set, g));
        if (fresh) {
            classes.push_back({.first = g, .count = 0, .members = {}, .streams = {}});
            for (const RankId r : s.members[g])
                classes.back().members.push_back(q_.class_of_rank[r.index()]);
        }
        ++classes[id].count;
        for (std::size_t i = 0; i < s.members[g].size(); ++i) {
            RankClass& rank = q_.ranks[q_.class_of_rank[s.members[g][i].index()]];
            ClassId& mine = s.ordered && i == 1 ? rank.received[set] : rank.group[set];
            WEFT_CHECK(mine == kNoClass || mine == id, "a class of ranks in two classes of groups");
            mine = id;
        }
    }
}

void Maker::add_row(std::size_t epoch, std::span<const LegLoad> legs, std::uint32_t lanes) {
    scratch_.clear();
    for (const LegLoad& l : legs)
        for (const LegPart& p : u_.legs->parts(l.leg))
            scratch_.emplace_back(q_.class_of_link[p.link.index()], Int128{l.weight} * p.weight);
    std::sort(scratch_.begin(), scratch_.end());
    for (std::size_t i = 0; i < scratch_.size();) {
        Int128 sum = 0;
        const ClassId link = scratch_[i].first;
        for (; i < scratch_.size() && scratch_[i].first == link; ++i) sum += scratch_[i].second;
        q_.loads[epoch].add(link, sum * lanes);
    }
    q_.loads[epoch].end_row();
    q_.lanes_in_row[epoch].push_back(lanes);
}

void Maker::add_class(const StreamView& s, const std::vector<std::uint64_t>& lanes) {
    StreamClass& c = q_.streams.emplace_back();
    c.num.assign(s.num.begin(), s.num.end());
    c.den = s.den;
    std::size_t at = 0;
    for (std::size_t e = 0; e < s.lanes.size(); ++e) {
        const std::size_t n = s.lanes[e].lanes();
        c.rows.push_back({.first = static_cast<std::uint32_t>(q_.loads[e].rows()), .count = 0});
        std::vector<char> done(n, 0);
        for (std::size_t i = 0; i < n; ++i) {
            if (done[i] != 0) continue;
            std::uint32_t alike = 1;
            for (std::size_t j = i + 1; j < n && symmetry_; ++j) {
                if (lanes[at + i] != lanes[at + j]) continue;
                done[j] = 1;
                ++alike;
            }
            add_row(e, s.lanes[e].lane(i), alike);
            ++c.rows.back().count;
        }
        at += n;
    }
}

/// A row holds the weights of one stream on a whole class of links; makes them those of all streams
/// of the class on one link.
void Maker::spread_over_links(ClassId stream, std::uint64_t groups) {
    const StreamClass& c = q_.streams[stream];
    const Int128 streams = Int128{c.per_group} * groups;
    for (std::size_t e = 0; e < c.rows.size(); ++e) {
        Incidence& in = q_.loads[e];
        const std::uint32_t end = in.first[c.rows[e].first + c.rows[e].count];
        for (std::uint32_t i = in.first[c.rows[e].first]; i < end; ++i) {
            const Int128 sum = in.weight[i] * streams;
            const Int128 links = q_.links[in.link[i]].count;
            WEFT_CHECK(sum % links == 0, "the partition is not equitable");
            in.weight[i] = sum / links;
        }
    }
}

void Maker::add_streams(std::size_t set) {
    const GroupSet& s = u_.sets[set];
    std::vector<std::uint64_t> lanes;
    for (GroupClass& g : q_.groups[set])
        for (std::size_t v = 0; v < s.traffic.size(); ++v) {
            const auto begin = static_cast<ClassId>(q_.streams.size());
            if (s.traffic[v][g.first]) {
                Numbering n(symmetry_);
                const std::uint64_t base = mix64(colours_.group(set, g.first), set);
                s.traffic[v][g.first]->visit([&](const StreamView& view) {
                    std::uint64_t colour = 0;
                    if (symmetry_) colour = colours_.stream(base, v, view, lanes);
                    const auto [id, fresh] = n.add(colour);
                    if (fresh) add_class(view, lanes);
                    ++q_.streams[begin + id].per_group;
                });
            }
            g.streams.emplace_back(begin, static_cast<ClassId>(q_.streams.size()));
            for (ClassId c = begin; c < q_.streams.size(); ++c) spread_over_links(c, g.count);
        }
}

}  // namespace

Quotient make_quotient(const Universe& u, bool symmetry, WithStreams streams) {
    return Maker(u, symmetry, streams).make();
}

}  // namespace weft::flow
