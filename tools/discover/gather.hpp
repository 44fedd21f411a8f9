#pragma once
// How the hosts of `weft discover` come together: this machine alone, ranks that meet at an id, or
// ranks that are started from here.
#include <chrono>
#include <string>
#include <vector>

#include "collectives/api/host_card.hpp"

namespace weft::tools {

/// This process's host and the ports named for it ("r0p0,r1p0"; empty: none). ConfigError.
[[nodiscard]] live::Presence this_presence(const std::string& interfaces, const std::string& word);
/// Everybody's, at the store of an id. std::runtime_error says why not.
[[nodiscard]] std::vector<live::Presence> meet_at(const std::string& id, std::uint32_t rank,
                                                  std::uint32_t ranks, const live::Presence& mine,
                                                  std::chrono::milliseconds within);
/// Starts `weft discover --id .. --rank r` for each rank, `launch` before it (%r is the rank) and
/// `more` behind it; rank 0 prints. The first exit status that is not 0 ends the others.
[[nodiscard]] int run_ranks(std::uint32_t ranks, const std::string& launch,
                            const std::vector<std::string>& more);

}  // namespace weft::tools
