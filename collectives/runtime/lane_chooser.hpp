#pragma once
// Which lane to a peer the next slice of a channel takes: least outstanding bytes among the lanes
// of the rail and plane that the channel wants, and among the other lanes only when all of those
// are dead. Outstanding bytes are counted per (peer, wanted rail, wanted plane).
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/transport.hpp"
#include "flow_control/lb/least_outstanding.hpp"

namespace weft::live {

class LaneChooser {
  public:
    /// rail or plane -1: any. Lanes that fit neither are kept for when nothing else lives.
    LaneChooser(std::span<const Lane> lanes, std::int32_t rail, std::int32_t plane);

    /// nullopt: every lane to the peer is dead.
    [[nodiscard]] std::optional<std::uint32_t> choose(std::size_t size) const;
    void post(std::uint32_t lane, std::size_t size);
    void complete(std::uint32_t lane, std::size_t size);
    void kill(std::uint32_t lane);

  private:
    struct Set {
        std::vector<std::uint32_t> lanes;
        LeastOutstanding balance;
    };
    struct Place {
        bool wanted = true;
        std::size_t index = 0;
    };
    [[nodiscard]] Set& set_of(const Place& p) { return p.wanted ? wanted_ : others_; }

    Set wanted_;
    Set others_;
    std::vector<Place> place_;  // by lane
};

}  // namespace weft::live
