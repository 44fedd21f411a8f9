#pragma once
// Plans that a program has given a communicator for some of its calls, in place of the library's
// choice: by name with parameters (select/plan_spec.hpp), or as data (plan/io/plan_json.hpp), which
// the checker has proved. Leaves out: agreement of the members on them (comm.cpp).
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "collectives/select/plan_spec.hpp"

namespace weft::live {

class LoadedPlan {
  public:
    /// For calls of least..most bytes (nccl-tests size) in a group of this shape. ConfigError for
    /// what is no Plan of such a group, and in the checker's words for what is none at all.
    LoadedPlan(const std::string& text, std::uint64_t least, std::uint64_t most,
               const GroupShape& shape);

    /// A Plan as data has one root.
    [[nodiscard]] bool fits(Collective collective, std::uint64_t bytes, std::uint32_t root) const;
    /// Pinned to no rail or plane where it comes by name: what it says, where it is data.
    [[nodiscard]] PlanTemplate build(const GroupShape& shape, std::uint32_t root) const;
    /// What the members have to agree on; never 0.
    [[nodiscard]] std::uint64_t digest() const { return digest_; }
    [[nodiscard]] std::string why() const;

  private:
    std::uint64_t least_;
    std::uint64_t most_;
    std::optional<PlanTemplate> data_;
    PlanSpec spec_;
    std::uint64_t digest_ = 0;
};

/// The latest first; numbered from 1 in the order of coming.
class LoadedPlans {
  public:
    void add(LoadedPlan plan) { plans_.push_front({++newest_, std::move(plan)}); }
    void clear() { plans_.clear(); }
    struct Found {
        std::uint32_t number = 0;
        const LoadedPlan* plan = nullptr;
    };
    [[nodiscard]] Found find(Collective collective, std::uint64_t bytes, std::uint32_t root) const {
        for (const auto& [number, plan] : plans_)
            if (plan.fits(collective, bytes, root)) return {number, &plan};
        return {};
    }
    [[nodiscard]] bool empty() const { return plans_.empty(); }

  private:
    std::deque<std::pair<std::uint32_t, LoadedPlan>> plans_;
    std::uint32_t newest_ = 0;
};

}  // namespace weft::live
