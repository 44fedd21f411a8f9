#pragma once
// World: everything about a Scenario that holds for a whole run: epochs of the links, groups, plans
// and their traffic, and the Quotient of it all.
//
// Models: links that change at stated times, and lanes that follow `convergence` later (one set of
// lanes for each state that routing knows, however often it comes back). Leaves out:
// the run (machine.hpp). Cost: O(edges of all groups' plans); memory O(groups x channels).
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "simulator/execute/machine.hpp"
#include "simulator/execute/planner.hpp"

namespace weft {

class World {
  public:
    explicit World(const Scenario& s);

    [[nodiscard]] MachineInput machine_input(const ProgressSink& progress) const;
    [[nodiscard]] const flow::Universe& universe() const { return universe_; }
    /// By lane epoch: what routing knows of the links, and the paths of edges.
    [[nodiscard]] const std::deque<Health>& known_health() const { return known_health_; }
    [[nodiscard]] const std::vector<flow::LaneMaker*>& makers() const { return around_.makers; }
    [[nodiscard]] const flow::Quotient& quotient() const { return quotient_; }
    [[nodiscard]] const CompiledWorkload& workload() const { return workload_; }
    /// The algorithm of a variant of a set, with the protocol that its library forces: "ring/LL".
    [[nodiscard]] std::string algorithm(std::size_t set, std::size_t variant) const;
    [[nodiscard]] std::optional<WireProtocol> protocol(std::size_t set, std::size_t variant) const {
        return variants_[set][variant].protocol;
    }
    /// Capacity in bit/s that a link has at first.
    [[nodiscard]] std::int64_t capacity(std::size_t link) const {
        return universe_.capacity.front()[link];
    }

  private:
    struct Variant {
        Collective kind;
        std::string algorithm;
        std::optional<WireProtocol> protocol;  // none: the cheapest
        bool operator==(const Variant&) const = default;
    };
    struct ShapeInfo {
        GroupShape shape;
        std::uint32_t first_group = 0;
    };

    void make_epochs();
    void add_epoch(SimTime at);
    std::uint32_t lane_epoch(Health known, Health carried);
    void make_sets();
    void make_pairs(std::size_t set);
    [[nodiscard]] std::uint64_t draws_of(std::uint32_t rank) const;
    void make_groups(std::size_t set);
    void make_shapes(std::size_t set);
    void choose_variants();
    [[nodiscard]] Variant choose(const Exchange& e, std::uint32_t shape);
    [[nodiscard]] std::optional<Variant> forced(const Exchange& e, std::uint32_t shape) const;
    /// Traffic of the first group of a shape under one algorithm; made once.
    const flow::Traffic& candidate(std::size_t set, std::uint32_t shape, const Variant& v);
    std::uint16_t variant_index(std::size_t set, const Variant& v);
    void make_traffic();
    std::unique_ptr<flow::Traffic> traffic_of(std::size_t set, std::uint32_t group,
                                              const Variant& v);

    const Scenario* scenario_;
    CompiledWorkload workload_;
    Planner planner_;
    flow::Legs legs_;
    flow::TrafficScratch scratch_;
    std::deque<Health> known_health_;  // by lane epoch: what routing knows
    std::deque<Health> priced_;        // by lane epoch: what links carry by then
    std::deque<flow::LaneMaker> makers_;
    flow::Surroundings around_;
    std::vector<SimTime> epoch_start_;
    std::vector<std::vector<Variant>> variants_;          // by set
    std::vector<std::vector<ShapeInfo>> shapes_;          // by set
    std::vector<std::vector<std::uint32_t>> shape_of_;    // by set, by group
    std::vector<std::vector<std::uint16_t>> variant_of_;  // by exchange, by group
    std::map<std::tuple<std::size_t, std::uint32_t, Collective, std::string>,
             std::unique_ptr<flow::Traffic>>
        candidates_;  // by set, group, kind, algorithm
    flow::Universe universe_;
    flow::Quotient quotient_;
};

}  // namespace weft
