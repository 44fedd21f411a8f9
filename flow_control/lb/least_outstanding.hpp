#pragma once
// LeastOutstanding: which lane the next message takes. HPN's rule (HPN24, path selection): the lane
// with the fewest bytes outstanding; the counter goes up when a message is posted and down when it
// completes. With weights a lane counts as outstanding / weight, so that lanes of unequal capacity
// share in proportion.
// Models: dead lanes, which are never chosen and forget what they held; revival at zero.
// Leaves out: time (no clock), the paths behind the lanes, reordering.
// Cost: choose() looks at every lane; a connection has a handful.
#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.hpp"

namespace weft {

class LeastOutstanding {
  public:
    /// One weight per lane, positive; for example its capacity in Gbit/s.
    explicit LeastOutstanding(const std::vector<std::uint64_t>& weights);

    /// The lane on which (outstanding + size) / weight would be least, the first of equals.
    /// nullopt: all lanes are dead.
    [[nodiscard]] std::optional<std::size_t> choose(Bytes size) const;

    void post(std::size_t lane, Bytes size);
    /// A completion of a lane that has died meanwhile is ignored.
    void complete(std::size_t lane, Bytes size);

    /// The lane is fenced; returns the bytes it held, which the caller sends again elsewhere.
    Bytes kill(std::size_t lane);
    void revive(std::size_t lane);

    [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }
    [[nodiscard]] bool alive(std::size_t lane) const { return lanes_[lane].alive; }
    [[nodiscard]] Bytes outstanding(std::size_t lane) const { return lanes_[lane].outstanding; }

  private:
    struct Lane {
        std::uint64_t weight = 1;
        Bytes outstanding;
        bool alive = true;
    };
    std::vector<Lane> lanes_;
};

}  // namespace weft
