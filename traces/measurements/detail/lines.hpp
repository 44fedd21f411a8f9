#pragma once
// Small tools that the readers of measured output share: lines with numbers, words, one error.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "traces/measurements/import.hpp"

namespace weft::logs {

/// Where a reader stands; errors name it.
struct Place {
    const std::string* file = nullptr;
    int line = 0;
};

struct Line {
    int number = 0;
    std::string_view text;  // without the end of line
    bool last = false;      // the text ends here, without an end of line
};

[[nodiscard]] std::vector<Line> lines_of(std::string_view text);
/// Words between blanks.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);
[[nodiscard]] std::string_view trim(std::string_view text);
/// Digits only, with at most `most` as a value; -1 otherwise. Underscores between digits are
/// allowed.
[[nodiscard]] std::int64_t whole_number(std::string_view text);

[[noreturn]] void fail(const Place& at, const std::string& key, std::string_view found,
                       const std::string& expected, const std::string& example);

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
