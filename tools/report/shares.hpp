#pragma once
// Where a step's time goes, in the order in which the text and the page list it. Leaves out what is
// hidden behind compute. Shares are of the slowest rank's step; collectives of two families that
// are exposed at once are counted in both.
#include <string>
#include <vector>

#include "traces/results.hpp"

namespace weft::tools {

struct Share {
    std::string name;  // "compute", "exposed TP", "bubble"
    std::string colour;
    SimDuration time;
    double of_step = 0;  // 0..1
};

[[nodiscard]] std::vector<Share> shares_of(const Result& r);
/// A family's colour, the same everywhere. Okabe and Ito's palette: told apart by all eyes.
[[nodiscard]] std::string colour_of(const std::string& family);
/// a / b, 0 when b is 0.
[[nodiscard]] double ratio(SimDuration a, SimDuration b);
/// "rail 3", "plane 1", "all": -1 means it does not apply.
[[nodiscard]] std::string index_text(const char* what, std::int32_t index);

}  // namespace weft::tools
