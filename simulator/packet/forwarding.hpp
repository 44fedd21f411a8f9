#pragma once
// Forwarding: what switches look up: for packets that the switches spread, the equal-cost links on
// from each switch towards each last switch, as flat tables made on first use from the Router's own
// sets. Packets on a pinned path carry its links instead (Paths below).
// Cost: 8 bytes per switch and last switch in use, 4 per link of each different set of a switch.
#include <cstdint>
#include <span>
#include <vector>

#include "topology/routing/router.hpp"

namespace weft::packet {

/// A connection's way there and its ACKs' way back, without the PCIe links at the ends: from the
/// link that leaves the NIC (or the GPU, in a scale-up domain) to the one that enters the other.
struct Path {
    std::vector<LinkId> there;
    std::vector<LinkId> back;
};

/// The way of a route and the way back along the same links.
[[nodiscard]] Path path_of(const Fabric& fabric, const Route& route);
/// The latency of the links that path_of() leaves out: PCIe at both ends.
[[nodiscard]] SimDuration latency_outside(const Fabric& fabric, const Route& route);

class Forwarding {
  public:
    /// Everything given outlives the table.
    Forwarding(const Fabric& fabric, const Router& router);

    /// The row of packets that leave the fabric by `last`, a link from a switch to a NIC.
    [[nodiscard]] std::uint32_t row(LinkId last);
    /// Equal-cost links on from a switch; a packet at its last switch takes its `last` link.
    [[nodiscard]] std::span<const std::uint32_t> next(std::uint32_t row, NodeId at) const {
        const Cell& c = cells_[row * switches_ + switch_of_[at.index()]];
        return std::span{links_}.subspan(c.first, c.count);
    }
    /// Routing has changed: rows are made anew. The numbers of rows stay.
    void remake();
    [[nodiscard]] std::size_t bytes() const;

  private:
    struct Cell {
        std::uint32_t first = 0;
        std::uint32_t count = 0;
    };
    void fill(std::uint32_t row);
    [[nodiscard]] Cell cell_of(std::size_t at, const std::vector<LinkId>& set);

    const Fabric* fabric_;
    const Router* router_;
    std::size_t switches_ = 0;
    std::vector<std::uint32_t> switch_of_;  // node -> index
    std::vector<NodeId> nodes_;             // by index
    std::vector<std::uint32_t> row_of_;     // switch -> row, kNoRow
    std::vector<NodeId> last_of_row_;
    std::vector<Cell> cells_;  // row x switch
    std::vector<std::uint32_t> links_;
    std::vector<std::vector<Cell>> sets_;  // by switch: the different ones among its cells
};

}  // namespace weft::packet
