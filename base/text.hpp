#pragma once
// What readers of line-wise text share: lines with their numbers, words, exact numbers, one error.
//
// Models nothing. Numbers are integers: a decimal such as "1.5" becomes a count of a smaller unit.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace weft::text {

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
/// "12", "1.5", "4e+06" times 10^power, to the nearest whole number; -1 for what is no such number
/// or above 10^18.
[[nodiscard]] std::int64_t scaled_number(std::string_view text, int power);
/// ASCII.
[[nodiscard]] std::string lower(std::string_view text);

[[noreturn]] void fail(const Place& at, const std::string& key, std::string_view found,
                       const std::string& expected, const std::string& example);

}  // namespace weft::text
