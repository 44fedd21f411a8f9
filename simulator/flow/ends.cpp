#include "simulator/flow/ends.hpp"

#include <algorithm>

namespace weft::flow {
namespace {

constexpr Int128 kGib = Int128{1} << 30;

std::uint64_t most_of(const std::vector<std::uint64_t>& of) {
    return of.empty() ? 0 : *std::max_element(of.begin(), of.end());
}

}  // namespace

void EndCounter::begin(std::uint32_t ranks) {
    ends_ = {};
    network_.assign(ranks, 0);
    pairs_.assign(ranks, 0);
}

void EndCounter::begin_channel(std::uint32_t phases) {
    sent_.assign(network_.size(), 0);
    connection_.assign(phases, 0);
    blocks_ = 0;
}

void EndCounter::begin_stage(bool tree) {
    tree_ = tree;
    once_ = 0;
    longest_ = 0;
}

void EndCounter::edge(std::uint32_t from, std::uint32_t to, std::uint64_t units,
                      const EdgeLanes& lanes) {
    if (tree_)
        once_ = std::max(once_, units);
    else
        sent_[from] += units;
    if (lanes.scale_up || lanes.lanes() == 0) return;
    for (const std::uint32_t rank : {from, to}) {
        network_[rank] += units;
        pairs_[rank] += lanes.lanes();
    }
    longest_ = std::max(longest_, units);
    ends_.network_latency = std::max(ends_.network_latency, lanes.latency);
    ends_.network_rate =
        ends_.network_rate == 0 ? lanes.alone : std::min(ends_.network_rate, lanes.alone);
}

void EndCounter::end_stage(std::uint32_t phase, bool ring) {
    blocks_ += once_;
    std::uint64_t& so_far = connection_[phase];
    so_far = ring ? so_far + longest_ : std::max(so_far, longest_);
}

void EndCounter::end_channel(Int128 weight, Int128 all, std::uint32_t units) {
    const auto part = [&](std::uint64_t of) {
        return static_cast<std::int64_t>(ceil_div(kGib * weight * of, all * units));
    };
    ends_.block_bytes_per_gib = std::max(ends_.block_bytes_per_gib, part(blocks_ + most_of(sent_)));
    ends_.connection_bytes_per_gib =
        std::max(ends_.connection_bytes_per_gib, part(most_of(connection_)));
}

const Ends& EndCounter::end() {
    ends_.network_units = most_of(network_);
    ends_.queue_pairs = most_of(pairs_);
    return ends_;
}

}  // namespace weft::flow
