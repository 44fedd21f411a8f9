#pragma once
// Small tools that the readers of measured output share, beyond base/text.hpp.
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "base/units.hpp"
#include "traces/measurements/import.hpp"

namespace weft::logs {

using text::fail;
using text::Line;
using text::lines_of;
using text::Place;
using text::trim;
using text::whole_number;
using text::words_of;

/// A number and its unit, such as "12.5" and "us"; the error names place and key.
[[nodiscard]] SimDuration duration_at(const Place& at, std::string_view number, const char* unit);

/// Fills in hosts and GPUs: hints first, then what the log said. Throws when fewer than two ranks
/// are known.
void complete_setup(MeasuredCase& c, const ImportHints& hints, const Place& at);

/// Sorted by size; points of one size become one whose range holds them all.
void merge_points(MeasuredCase& c);

/// File name without folders and ending, of characters fit for an id.
[[nodiscard]] std::string stem_of(const std::string& file);

}  // namespace weft::logs
