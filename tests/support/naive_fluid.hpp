#pragma once
// naive_fluid: a fluid simulation of Plans with nothing clever in it, to judge the flow engine by.
//
// Models (docs/design/0001, written from that page and the Plan's semantics alone): every transfer
// of every rank is expanded from the Plan's readers and cut into pieces (slice loops x slices).
// A piece may flow when the pieces it forwards have arrived at its sender and its connection has
// carried the pieces before it; it arrives one path latency after its last byte has left. Rates
// are textbook progressive filling in double over all lanes that carry something, computed anew at
// each event. The slowest piece decides. No coupled streams, no classes, no symmetry, no memory of
// earlier answers. Leaves out: what the page leaves out; endpoint costs (ideal endpoint).
// Cost: O(events x active lanes x rounds); for 64 ranks and fewer.
#include <cstdint>
#include <vector>

#include "collectives/plan/plan.hpp"
#include "topology/fabric.hpp"
#include "topology/placement.hpp"

namespace weft::tests {

/// One collective of one group, under way from time zero.
struct NaiveCollective {
    const PlanTemplate* plan = nullptr;
    Bytes size;                 // nccl-tests total
    std::vector<RankId> group;  // world ranks in group order
};

struct NaiveFailure {
    double at = 0;  // seconds
    LinkId link;
    bool both_directions = true;
    Bandwidth rate;  // 0 = down
    double convergence = 0;
};

struct NaiveScenario {
    const Fabric* fabric = nullptr;
    Placement placement;
    bool hashed = false;    // nccl-static, else weft
    std::uint32_t qps = 0;  // per connection; 0 = the library's default
    std::uint64_t seed = 1;
    std::vector<NaiveCollective> collectives;
    std::vector<NaiveFailure> failures;
    /// Slice loops, and pieces of a transfer within one; 0: as the Plan's own cut of the first
    /// collective says.
    std::uint32_t loops = 0;
    std::uint32_t slices = 0;
};

struct NaiveResult {
    std::vector<double> end;      // seconds, by collective
    std::vector<double> carried;  // bytes, by link
    std::uint64_t pieces = 0;
    std::uint64_t events = 0;
    bool finished = true;  // false: something waits for ever
    [[nodiscard]] double last() const;
};

[[nodiscard]] NaiveResult naive_fluid(const NaiveScenario& scenario);

}  // namespace weft::tests
