#pragma once
// MaxMin: max-min fair rates in integers, by progressive filling.
//
// Models: variables (lanes) that load links in proportion to their rate; the rates of all unfrozen
// variables rise together until links are full, whose variables then freeze. Leaves out: variables
// without a link, minimum rates. Formula (docs/design/0001): level of a link = floor((capacity -
// load of frozen variables) / weight of the others); all links at the lowest level freeze together.
// Sums are exact in 128 bits, so the answer depends on no order, and a quotient by an
// equitable partition gives the same rates. Source: Bertsekas and Gallager, Data Networks, 6.5.2.
// Cost: O(entries of the active variables x log links).
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/units.hpp"

namespace weft::flow {

/// Weights are parts of this, so that shares of 2 to 16, 60, 64, 96, 120 or 128 paths are exact.
inline constexpr std::uint32_t kOne = 5765760;  // 2^7 3^2 5 7 11 13
/// The load of one variable on a link that carries all of it: a weight of a lane times one of a
/// leg.
inline constexpr Int128 kFull = Int128{kOne} * kOne;

/// What every variable puts on the links: rows of (link, weight in parts of kFull).
struct Incidence {
    std::vector<std::uint32_t> first{0};
    std::vector<std::uint32_t> link;
    std::vector<Int128> weight;

    [[nodiscard]] std::size_t rows() const { return first.size() - 1; }
    void add(std::uint32_t l, Int128 w) {
        link.push_back(l);
        weight.push_back(w);
    }
    void end_row() { first.push_back(static_cast<std::uint32_t>(link.size())); }
};

/// How rates follow from what is active.
enum class Sharing : std::uint8_t {
    kMaxMin,  // max-min fair
    kEqual,   // each link is shared equally; what one cannot use is not given to others (analytic)
};

class MaxMin {
  public:
    /// `loads` outlives the solver. Every row has at least one link; a link occurs once a row.
    MaxMin(const Incidence& loads, std::size_t links);

    /// Capacities in bit/s; 0 is a link that is down.
    void set_capacity(std::span<const std::int64_t> capacity) {
        capacity_.assign(capacity.begin(), capacity.end());
    }

    /// Rates in bit/s of the `active` rows, in their order.
    void solve(std::span<const std::uint32_t> active, std::vector<std::int64_t>& rates);
    /// The same under Sharing::kEqual: the lowest level of a row's links, at once.
    void share_equally(std::span<const std::uint32_t> active, std::vector<std::int64_t>& rates);

  private:
    struct LinkState {
        Int128 left = 0;    // capacity x kFull - load of frozen variables
        Int128 weight = 0;  // of unfrozen variables
        bool in_use = false;
    };
    struct Level {
        std::int64_t rate;
        std::uint32_t link;
    };

    [[nodiscard]] std::int64_t level(std::uint32_t link) const;
    void load_links(std::span<const std::uint32_t> active);
    void pop_lowest(std::int64_t& lowest);
    void push(Level entry);
    void freeze(std::uint32_t row, std::int64_t rate);

    const Incidence* loads_;
    std::vector<std::uint32_t> first_row_;  // link -> rows
    std::vector<std::uint32_t> rows_;
    std::vector<std::int64_t> capacity_;
    std::vector<LinkState> links_;
    std::vector<std::uint32_t> touched_;     // links in use
    std::vector<std::int64_t> rate_of_row_;  // kUnset, or frozen
    std::vector<char> active_;
    std::vector<Level> heap_;
    std::vector<std::uint32_t> lowest_links_;
};

}  // namespace weft::flow
