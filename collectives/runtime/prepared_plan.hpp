#pragma once
// What one rank works out about a Plan once, before it runs it any number of times: the hash that
// the ranks agree on, whom it talks to, and which reduction is a unit's last (where avg divides).
// Cost: O(transfers of this rank x units of a transfer) to make, O(1) to ask.
#include <cstdint>
#include <vector>

#include "collectives/plan/plan.hpp"

namespace weft::live {

class PreparedPlan {
  public:
    /// The plan is copied: the caller may drop it.
    PreparedPlan(PlanTemplate plan, std::uint32_t rank);

    [[nodiscard]] const PlanTemplate& plan() const { return plan_; }
    [[nodiscard]] std::uint32_t rank() const { return rank_; }
    [[nodiscard]] std::uint64_t hash() const { return hash_; }
    /// Ranks that this rank sends to or receives from, ascending.
    [[nodiscard]] const std::vector<std::uint32_t>& peers() const { return peers_; }
    /// Whether the reduction of receive number `index` of a stage gives the `piece`-th unit of that
    /// receive its final value: nothing is added to it later, here or elsewhere.
    [[nodiscard]] bool last_reduction(std::size_t channel, std::uint32_t stage, std::uint32_t index,
                                      std::uint32_t piece) const;

  private:
    static constexpr std::uint32_t kNever = ~std::uint32_t{0};
    struct When {
        std::uint32_t stage = kNever;
        std::uint32_t step = 0;
        std::uint32_t index = 0;
    };
    void note_receives(std::size_t channel);
    void drop_partial_sums(std::size_t channel);

    PlanTemplate plan_;
    std::uint32_t rank_;
    std::uint64_t hash_;
    std::vector<std::uint32_t> peers_;
    std::vector<std::vector<When>> last_;  // [channel][unit]; kNever: another rank owns the unit
};

}  // namespace weft::live
