#include "simulator/execute/world.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "simulator/execute/nccl_choice.hpp"

namespace weft {

World::World(const Scenario& s)
    : scenario_(&s), workload_(compile(*s.workload)), planner_(s.library) {
    WEFT_CHECK(s.placement.ranks() >= s.workload->world, "{} ranks placed of {}",
               s.placement.ranks(), s.workload->world);
    make_epochs();
    make_sets();
    choose_variants();
    make_traffic();
    // Packets of two ranks are never the same packets.
    if (s.network == NetworkModel::kPacket)
        quotient_ = flow::make_quotient(universe_, false, flow::WithStreams::kNo);
    else
        quotient_ = flow::make_quotient(universe_, s.symmetry);
}

/// The lanes of a state of the links; states that come back have theirs again.
std::uint32_t World::lane_epoch(Health known, Health carried) {
    for (std::size_t e = 0; e < known_health_.size(); ++e)
        if (known_health_[e] == known && priced_[e] == carried)
            return static_cast<std::uint32_t>(e);
    known_health_.push_back(std::move(known));
    priced_.push_back(std::move(carried));
    return static_cast<std::uint32_t>(known_health_.size() - 1);
}

void World::add_epoch(SimTime at) {
    const Fabric& fabric = *scenario_->fabric;
    std::vector<std::int64_t> capacity;
    Health carried = health_at(fabric, scenario_->failures, at, SeenBy::kPackets);
    for (std::size_t l = 0; l < fabric.links().size(); ++l) {
        const Bandwidth rate =
            usable_rate(*scenario_, fabric.links()[l].kind, carried.rate(LinkId{l}));
        carried.set_rate(LinkId{l}, rate);
        capacity.push_back(rate.bits_per_second());
    }
    Health known = health_at(fabric, scenario_->failures, at, SeenBy::kRouting);
    std::vector<std::uint32_t>& lanes = universe_.lanes_of_epoch;
    const bool follows = lanes.empty() || !(known == known_health_[lanes.back()]);
    lanes.push_back(follows ? lane_epoch(std::move(known), std::move(carried)) : lanes.back());
    epoch_start_.push_back(at);
    universe_.capacity.push_back(std::move(capacity));
}

/// Epochs begin where a link changes and where routing has followed; what happens at or before zero
/// belongs to the first.
void World::make_epochs() {
    const Fabric& fabric = *scenario_->fabric;
    for (const SimTime t : change_times(scenario_->failures)) add_epoch(t);
    universe_.lane_epochs = known_health_.size();
    for (std::size_t e = 0; e < known_health_.size(); ++e) {
        makers_.emplace_back(fabric, known_health_[e], scenario_->library,
                             EcmpHash{scenario_->hash_seeds, scenario_->seed}, legs_);
        around_.makers.push_back(&makers_.back());
        around_.health.push_back(&priced_[e]);
    }
    around_.fabric = &fabric;
    around_.placement = &scenario_->placement;
    around_.legs = &legs_;
    around_.scratch = &scratch_;
    around_.in_network_per_mille = in_network_per_mille(*scenario_);
    universe_.fabric = &fabric;
    universe_.legs = &legs_;
}

void World::make_sets() {
    const Workload& w = *scenario_->workload;
    for (std::uint32_t r = 0; r < w.world; ++r)
        universe_.rank_kind.push_back(mix64(w.program_of[r], draws_of(r)));
    universe_.sets.resize(workload_.sets.size());
    variants_.resize(workload_.sets.size());
    shapes_.resize(workload_.sets.size());
    shape_of_.resize(workload_.sets.size());
    for (std::size_t s = 0; s < workload_.sets.size(); ++s) {
        if (workload_.sets[s].offset == 0) make_groups(s);
        if (workload_.sets[s].offset != 0) make_pairs(s);
        make_shapes(s);
    }
}

/// Two ranks of a program with equal draws compute alike.
std::uint64_t World::draws_of(std::uint32_t rank) const {
    const Jitter& jitter = scenario_->jitter;
    if (jitter.noise_ppb > 0) return rank;
    const RankJitter mine(jitter, scenario_->seed, rank);
    std::uint64_t draws = mine.straggles() ? 1 : 0;
    const std::vector<CompiledOp>& ops =
        workload_.programs[scenario_->workload->program_of[rank]].ops;
    for (std::uint32_t i = 0; i < ops.size() && jitter.stall_ppb > 0; ++i)
        if (ops[i].kind == CompiledOp::Kind::kCompute && ops[i].time.ps() > 0 && mine.stalls(i))
            draws = mix64(draws, i);
    return draws;
}

void World::make_groups(std::size_t set) {
    const Workload& w = *scenario_->workload;
    const Partition& p = w.families[workload_.sets[set].family].groups;
    for (std::uint32_t cell = 0; cell < w.world / p.size; ++cell) {
        std::vector<RankId>& members = universe_.sets[set].members.emplace_back();
        for (std::uint32_t i = 0; i < p.size; ++i) members.emplace_back(p.rank_at(cell, i));
    }
}

/// The pairs that some program sends over: a sender whose program has such a send.
void World::make_pairs(std::size_t set) {
    const Workload& w = *scenario_->workload;
    const SetKey key = workload_.sets[set];
    const Partition& p = w.families[key.family].groups;
    std::vector<char> sends;
    for (const Program& program : w.programs)
        sends.push_back(std::any_of(program.ops.begin(), program.ops.end(), [&](const Op& op) {
            const auto* m = std::get_if<P2pOp>(&op.what);
            return m != nullptr && m->send && m->family == key.family && m->offset == key.offset;
        }));
    universe_.sets[set].ordered = true;
    for (std::uint32_t cell = 0; cell < w.world / p.size; ++cell)
        for (std::uint32_t i = 0; i < p.size; ++i) {
            std::vector<RankId>& members = universe_.sets[set].members.emplace_back();
            const std::int64_t to = std::int64_t{i} + key.offset;
            const std::uint32_t sender = p.rank_at(cell, i);
            if (to < 0 || to >= p.size || sends[w.program_of[sender]] == 0) continue;
            members = {RankId{sender}, RankId{p.rank_at(cell, static_cast<std::uint32_t>(to))}};
        }
}

void World::make_shapes(std::size_t set) {
    flow::GroupSet& s = universe_.sets[set];
    for (std::uint32_t g = 0; g < s.members.size(); ++g) {
        std::uint32_t index = 0;
        if (!s.members[g].empty()) {
            const GroupShape shape =
                shape_of(*scenario_->fabric, scenario_->placement, s.members[g]);
            while (index < shapes_[set].size() && !(shapes_[set][index].shape == shape)) ++index;
            if (index == shapes_[set].size())
                shapes_[set].push_back({.shape = shape, .first_group = g});
        }
        shape_of_[set].push_back(index);
        s.kind.push_back(mix64(set, index));
    }
}

std::string World::algorithm(std::size_t set, std::size_t variant) const {
    const Variant& v = variants_[set][variant];
    return v.protocol ? fmt::format("{}/{}", v.algorithm, name_of(*v.protocol)) : v.algorithm;
}

std::uint16_t World::variant_index(std::size_t set, const Variant& variant) {
    std::vector<Variant>& known = variants_[set];
    for (std::size_t v = 0; v < known.size(); ++v)
        if (known[v] == variant) return static_cast<std::uint16_t>(v);
    known.push_back(variant);
    return static_cast<std::uint16_t>(known.size() - 1);
}

std::unique_ptr<flow::Traffic> World::traffic_of(std::size_t set, std::uint32_t group,
                                                 const Variant& v) {
    const GroupShape& shape = shapes_[set][shape_of_[set][group]].shape;
    const PlannedCollective& p = planner_.plan(v.kind, v.algorithm, shape);
    return std::make_unique<flow::Traffic>(p.plan, p.key, universe_.sets[set].members[group],
                                           around_);
}

const flow::Traffic& World::candidate(std::size_t set, std::uint32_t shape, const Variant& v) {
    const std::uint32_t group = shapes_[set][shape].first_group;
    auto& slot = candidates_[{set, group, v.kind, v.algorithm}];
    if (!slot) slot = traffic_of(set, group, v);
    return *slot;
}

/// What a library of NCCL's decides.
std::optional<World::Variant> World::forced(const Exchange& e, std::uint32_t shape) const {
    const std::uint32_t group = shapes_[e.set][shape].first_group;
    const std::optional<nccl::Tuner> tuner =
        nccl_tuner(*scenario_, universe_.sets[e.set].members[group]);
    if (!tuner) return {};
    const nccl::Candidate c = tuner->choose(e.kind, e.size);
    const std::optional<std::string> carrier = carrier_of(e.kind, c.algorithm);
    if (!carrier) return {};
    return Variant{e.kind, *carrier, c.protocol};
}

World::Variant World::choose(const Exchange& e, std::uint32_t shape) {
    const GroupShape& s = shapes_[e.set][shape].shape;
    const std::vector<std::string> names = planner_.candidates(e.kind, s);
    if (e.size.count() == 0 || s.n == 1) return {e.kind, names.front(), {}};
    if (const std::optional<Variant> v = forced(e, shape)) return *v;
    if (names.size() == 1) return {e.kind, names.front(), {}};
    Variant best{e.kind, {}, {}};
    SimDuration least;
    for (const std::string& name : names) {
        const SimDuration time =
            endpoint_price(*scenario_, candidate(e.set, shape, {e.kind, name, {}}), e.size, 0)
                .total;
        if (!best.algorithm.empty() && time >= least) continue;
        best.algorithm = name;
        least = time;
    }
    return best;
}

void World::choose_variants() {
    for (const Exchange& e : workload_.exchanges) {
        std::vector<std::uint16_t> of_shape;
        for (std::uint32_t shape = 0; shape < shapes_[e.set].size(); ++shape)
            of_shape.push_back(variant_index(e.set, choose(e, shape)));
        std::vector<std::uint16_t>& of_group = variant_of_.emplace_back();
        for (const std::uint32_t shape : shape_of_[e.set])
            of_group.push_back(of_shape.empty() ? std::uint16_t{0} : of_shape[shape]);
    }
}

void World::make_traffic() {
    for (std::size_t s = 0; s < universe_.sets.size(); ++s) {
        flow::GroupSet& set = universe_.sets[s];
        set.traffic.resize(variants_[s].size());
        for (auto& v : set.traffic) v.resize(set.members.size());
    }
    for (std::size_t x = 0; x < workload_.exchanges.size(); ++x) {
        const Exchange& e = workload_.exchanges[x];
        if (e.size.count() == 0) continue;
        flow::GroupSet& set = universe_.sets[e.set];
        for (std::uint32_t g = 0; g < set.members.size(); ++g) {
            if (set.members[g].size() < 2) continue;
            const std::uint16_t v = variant_of_[x][g];
            auto& slot = set.traffic[v][g];
            if (slot) continue;
            const Variant& variant = variants_[e.set][v];
            const auto made = candidates_.find({e.set, g, variant.kind, variant.algorithm});
            slot =
                made != candidates_.end() ? std::move(made->second) : traffic_of(e.set, g, variant);
        }
    }
    candidates_.clear();
}

MachineInput World::machine_input(const ProgressSink& progress) const {
    std::vector<std::vector<std::optional<WireProtocol>>> protocol;
    for (const std::vector<Variant>& set : variants_) {
        protocol.emplace_back();
        for (const Variant& v : set) protocol.back().push_back(v.protocol);
    }
    return {.scenario = scenario_,
            .workload = &workload_,
            .universe = &universe_,
            .quotient = &quotient_,
            .epoch_start = epoch_start_,
            .variant = variant_of_,
            .protocol = std::move(protocol),
            .progress = progress};
}

}  // namespace weft
