#pragma once
// SizeCdf: how large flows are, as HPCC's files have it: `size_bytes cumulative_percent` a line.
//
// Models: sizes between two points are spread evenly (linear interpolation); the first point has
// 0 %, the last 100 %. Probabilities are parts per billion. Source: HPCC-ns3 traffic_gen; the
// WebSearch distribution is that of DCTCP (SIGCOMM 2010), as HPCC publishes it.
#include <string>
#include <vector>

#include "base/units.hpp"

namespace weft::traffic {

class SizeCdf {
  public:
    struct Point {
        Bytes size;
        std::int64_t below_ppb = 0;  // share of flows that are not larger
    };
    /// Both columns ascend, from 0 to 10^9 ppb.
    explicit SizeCdf(std::vector<Point> points);

    /// The size at a point of [0, 1), in units of 2^-64; at least one byte.
    [[nodiscard]] Bytes at(std::uint64_t share) const;
    /// Twice the mean, times 10^9: exact.
    [[nodiscard]] Int128 twice_mean_ppb() const;
    [[nodiscard]] const std::vector<Point>& points() const { return points_; }

  private:
    std::vector<Point> points_;
};

/// ConfigError for anything wrong with it; `file` names it in messages.
[[nodiscard]] SizeCdf read_cdf(const std::string& text, const std::string& file);
[[nodiscard]] SizeCdf web_search();

}  // namespace weft::traffic
