#include "collectives/runtime/prepared_plan.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace weft::live {

namespace {

std::uint32_t unit_at(const UnitSet& units, std::uint32_t k) {
    return units.first + k * units.stride;
}

}  // namespace

PreparedPlan::PreparedPlan(PlanTemplate plan, std::uint32_t rank)
    : plan_(std::move(plan)), rank_(rank), hash_(plan_.hash()), last_(plan_.channels.size()) {
    WEFT_CHECK(rank < plan_.n, "rank {} of a plan for {}", rank, plan_.n);
    for (std::size_t c = 0; c < plan_.channels.size(); ++c) {
        last_[c].resize(plan_.channels[c].units);
        note_receives(c);
        drop_partial_sums(c);
    }
    std::sort(peers_.begin(), peers_.end());
    peers_.erase(std::unique(peers_.begin(), peers_.end()), peers_.end());
}

void PreparedPlan::note_receives(std::size_t channel) {
    const auto& stages = plan_.channels[channel].stages;
    for (std::uint32_t s = 0; s < stages.size(); ++s) {
        const std::uint32_t receives = recv_count(plan_, channel, s, rank_);
        for (std::uint32_t i = 0; i < receives; ++i) {
            const Transfer t = recv_at(plan_, channel, s, rank_, i);
            peers_.push_back(t.peer);
            if (stages[s].arrival != Arrival::kReduce) continue;
            for (std::uint32_t k = 0; k < t.units.count; ++k)
                last_[channel][unit_at(t.units, k)] = {s, t.step, i};
        }
    }
}

void PreparedPlan::drop_partial_sums(std::size_t channel) {
    const auto& stages = plan_.channels[channel].stages;
    for (std::uint32_t s = 0; s < stages.size(); ++s) {
        const std::uint32_t sends = send_count(plan_, channel, s, rank_);
        for (std::uint32_t i = 0; i < sends; ++i) {
            const Transfer t = send_at(plan_, channel, s, rank_, i);
            peers_.push_back(t.peer);
            if (stages[s].arrival != Arrival::kReduce) continue;
            // What goes out to be reduced further was not the last reduction.
            for (std::uint32_t k = 0; k < t.units.count; ++k) {
                When& last = last_[channel][unit_at(t.units, k)];
                if (last.stage < s || (last.stage == s && last.step < t.step)) last = {};
            }
        }
    }
}

bool PreparedPlan::last_reduction(std::size_t channel, std::uint32_t stage, std::uint32_t index,
                                  std::uint32_t piece) const {
    const UnitSet units = recv_at(plan_, channel, stage, rank_, index).units;
    const When& w = last_[channel][unit_at(units, piece)];
    return w.stage == stage && w.index == index;
}

}  // namespace weft::live
