#pragma once
// Decides whether a Plan computes its collective, in which order it reduces, and whether it can
// stop. Knows patterns only through send_at and recv_at, and nothing of algorithms.
//
// Progress: private connections and no choice by arrival make a Kahn network (Kahn, IFIP 1974), so
// one maximal run decides. The run is the hardest one: no buffering, a transfer goes when its send
// and its receive are both first in their sequences and ready. More slots only relax it, and slices
// and slice loops repeat it on disjoint data. If it stops early, the cycle of waits is named.
// Content: each (rank, unit) carries a random 128-bit value, places carry sums; equal to the
// definition's sum means each contribution exactly once, up to 2^-100. For n <= 64 exact bitsets
// say what is missing or doubled. Order: a non-commutative fingerprint per output unit. Conflicts:
// all accesses to a rank's memory are its own and every conflicting pair is ordered by a wait (see
// the semantics page), so a race shows as a wrong value or as a cycle of waits here. Leaves out:
// sizes that differ between ranks.
#include <cstdint>
#include <string>
#include <vector>

#include "collectives/plan/plan.hpp"

namespace weft {

struct CheckReport {
    bool ok = true;
    std::string problem;            // one line: channel, rank, stage, step, what is wrong
    std::uint64_t fingerprint = 0;  // of the reduction order of every output unit
    std::uint32_t steps = 0;        // longest chain of dependent transfers
    std::uint64_t transfers = 0;
    std::vector<std::uint64_t> orders;  // per (channel, rank, unit), for n <= 64
};

/// Checks every channel, with input and output apart and, where the Plan allows it, in place.
/// `reference`: a report whose reduction order must be met, unit by unit.
[[nodiscard]] CheckReport check_plan(const PlanTemplate& p, const CheckReport* reference = nullptr);

/// The order in which rank `rank`'s output unit is reduced, as text: "((3+4)+5)+0"; n <= 64.
[[nodiscard]] std::string reduction_order(const PlanTemplate& p, std::size_t channel,
                                          std::uint32_t rank, std::uint32_t unit);

/// The same Plan with every stage listed transfer by transfer.
[[nodiscard]] PlanTemplate expand(const PlanTemplate& p);

}  // namespace weft
