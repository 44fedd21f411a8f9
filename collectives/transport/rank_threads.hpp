#pragma once
// Runs the ranks of an in-process world, one thread each, as tests and `weft bench` do.
#include <cstdint>
#include <functional>

namespace weft::live {

/// Pins the calling thread to the index-th core that the process may use, if there is one.
void pin_to_core(std::uint32_t index);

struct RankThreadOptions {
    /// One core per rank, when there are enough cores: ranks that wander share a core for whole
    /// scheduler ticks.
    bool pin = false;
};

/// Calls body(rank) for every rank, all at the same time, and returns when all have. The exception
/// of the lowest rank that threw one is thrown again.
void run_ranks(std::uint32_t ranks, const std::function<void(std::uint32_t)>& body,
               const RankThreadOptions& options = {});

}  // namespace weft::live
