#pragma once
// The edges of a stage of a Plan: who sends how many units to whom, and which chain of them is the
// longest. Reads patterns; no transfer is ever expanded. Formula: docs/design/0001, "Time".
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/check.hpp"
#include "collectives/plan/plan.hpp"

namespace weft::flow {

/// Latency of one step over one edge, and what kind of step it is.
struct Hop {
    SimDuration latency;
    bool scale_up = false;
};

/// Dependent steps before bytes flow.
struct Fill {
    SimDuration latency;         // of the paths
    std::uint32_t scale_up = 0;  // steps inside a scale-up domain
    std::uint32_t network = 0;   // steps over NICs

    void add(const Hop& h, std::uint32_t times = 1) {
        latency += h.latency * times;
        (h.scale_up ? scale_up : network) += times;
    }
    void add(const Fill& f) {
        latency += f.latency;
        scale_up += f.scale_up;
        network += f.network;
    }
    /// The longer of two chains: by latency, then by steps.
    [[nodiscard]] bool longer_than(const Fill& o) const {
        if (latency != o.latency) return latency > o.latency;
        if (network != o.network) return network > o.network;
        return scale_up > o.scale_up;
    }
};

/// The `steps` consecutive hops around a ring that take longest.
[[nodiscard]] Fill longest_run(const std::vector<Hop>& ring, std::uint32_t steps);

/// No cell is carried by a switch.
inline constexpr auto kNoSwitch = [](std::uint32_t) -> std::optional<Hop> { return {}; };

/// Calls edge(source, destination, units) -> Hop for every edge of a stage (group ranks), and
/// returns the longest chain of dependent steps. Of an in-network stage, a cell for which
/// switched(cell) -> optional<Hop> answers has no edges: its switch carries it in that one step.
template <class F, class G = decltype(kNoSwitch)>
Fill walk_edges(const Stage& stage, std::uint32_t n, const F& edge, const G& switched = kNoSwitch) {
    const std::uint32_t size = stage.cells.size;
    const std::uint32_t cells = n / size;
    Fill longest;
    const auto keep = [&](const Fill& f) {
        if (f.longer_than(longest)) longest = f;
    };
    const auto rank = [&](std::uint32_t cell, std::uint32_t position) {
        return stage.cells.rank_at(cell, position % size);
    };
    if (const auto* ring = std::get_if<Ring>(&stage.pattern)) {
        const std::uint64_t units = std::uint64_t{ring->steps} * ring->chunks.span;
        for (std::uint32_t c = 0; c < cells && size > 1; ++c) {
            std::vector<Hop> hops(size);
            for (std::uint32_t p = 0; p < size; ++p) {
                const std::uint32_t next = ring->direction > 0 ? p + 1 : p + size - 1;
                // Hop p of a chain that runs in the ring's own direction.
                hops[ring->direction > 0 ? p : size - 1 - p] =
                    edge(rank(c, p), rank(c, next), units);
            }
            keep(longest_run(hops, ring->steps));
        }
    } else if (const auto* direct = std::get_if<Direct>(&stage.pattern)) {
        for (std::uint32_t c = 0; c < cells; ++c) {
            const std::optional<Hop> hop =
                stage.in_network && size > 1 ? switched(c) : std::optional<Hop>{};
            if (hop) {
                Fill one;
                one.add(*hop);
                keep(one);
                continue;
            }
            for (std::uint32_t p = 0; p < size; ++p)
                for (std::uint32_t q = 0; q < size; ++q) {
                    if (p == q) continue;
                    Fill one;
                    one.add(edge(rank(c, p), rank(c, q), direct->send_chunks.span));
                    keep(one);
                }
        }
    } else if (const auto* tree = std::get_if<Tree>(&stage.pattern)) {
        const std::uint64_t units = std::uint64_t{tree->chunk_count} * tree->chunks.span;
        for (std::uint32_t c = 0; c < cells; ++c) {
            std::vector<Fill> way(size);  // from the root, or to it
            std::vector<std::uint32_t> open{0};
            for (std::size_t head = 0; head < open.size(); ++head) {
                const std::uint32_t v = open[head];
                const std::uint32_t fan = tree_fan(*tree, v, size);
                for (std::uint32_t i = 0; i < fan; ++i) {
                    const std::uint32_t w = tree_child(*tree, v, i, size);
                    const std::uint32_t above = rank(c, tree->root + v);
                    const std::uint32_t below = rank(c, tree->root + w);
                    way[w] = way[v];
                    way[w].add(tree->up ? edge(below, above, units) : edge(above, below, units));
                    keep(way[w]);
                    open.push_back(w);
                }
            }
        }
    } else {
        const auto& sends = std::get<Explicit>(stage.pattern).sends;
        for (std::uint32_t r = 0; r < sends.size(); ++r) {
            Fill run;
            for (const Transfer& t : sends[r]) run.add(edge(r, t.peer, t.units.count));
            keep(run);
        }
    }
    return longest;
}

}  // namespace weft::flow
