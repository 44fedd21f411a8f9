#pragma once
// The accuracy page: every published measurement beside what Weft says of it, with plots.
//
// Models nothing: every number comes from a Validation. Leaves nothing out: cases that were not
// simulated, decisions called wrong and rows below 64 KiB each have their place. Errors are
// (simulated - measured) / measured.
#include <string>
#include <utility>
#include <vector>

#include "simulator/calibrate/validate.hpp"

namespace weft::tools {

/// accuracy/NAME.svg, and its text.
using Drawing = std::pair<std::string, std::string>;

/// Measured against simulated, and the error over size of each machine.
[[nodiscard]] std::vector<Drawing> accuracy_plots(const Validation& v);
/// The page in Markdown; `plots` are shown on it.
[[nodiscard]] std::string accuracy_page(const Validation& v, const std::vector<Drawing>& plots);

}  // namespace weft::tools
