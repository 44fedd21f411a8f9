#include "base/text.hpp"

namespace weft::text {
namespace {

bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

bool digit(char c) {
    return c >= '0' && c <= '9';
}

/// Reads digits (and one point where `point` is given) off the front.
struct Digits {
    std::int64_t value = 0;
    int after_point = 0;
    bool any = false;
    bool fits = true;
};
Digits take_digits(std::string_view& text, bool point) {
    constexpr std::int64_t kMost = 1'000'000'000'000'000'000;
    Digits d;
    bool behind = false;
    for (; !text.empty(); text.remove_prefix(1)) {
        const char c = text.front();
        if (c == '.' && point && !behind) {
            behind = true;
            continue;
        }
        if (!digit(c)) break;
        d.any = true;
        if (d.value >= kMost / 10) {
            // Digits beyond the eighteenth change nothing behind the point, too much before it.
            if (!behind) d.fits = false;
            continue;
        }
        d.value = d.value * 10 + (c - '0');
        if (behind) ++d.after_point;
    }
    return d;
}

}  // namespace

std::vector<Line> lines_of(std::string_view text) {
    std::vector<Line> lines;
    int number = 1;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const bool last = end == std::string_view::npos;
        lines.push_back({number++, text.substr(0, end), last});
        text.remove_prefix(last ? text.size() : end + 1);
    }
    return lines;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    std::size_t i = 0;
    while (i < line.size()) {
        while (i < line.size() && blank(line[i])) ++i;
        const std::size_t start = i;
        while (i < line.size() && !blank(line[i])) ++i;
        if (i > start) words.push_back(line.substr(start, i - start));
    }
    return words;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

std::int64_t whole_number(std::string_view text) {
    if (text.empty() || text.size() > 24 || text.front() == '_' || text.back() == '_') return -1;
    std::int64_t value = 0;
    for (const char c : text) {
        if (c == '_') continue;
        if (!digit(c) || value > (std::int64_t{1} << 55)) return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

std::int64_t scaled_number(std::string_view text, int power) {
    const Digits mantissa = take_digits(text, true);
    if (!mantissa.any || !mantissa.fits) return -1;
    if (!text.empty() && (text.front() == 'e' || text.front() == 'E')) {
        text.remove_prefix(1);
        const bool minus = !text.empty() && text.front() == '-';
        if (!text.empty() && (minus || text.front() == '+')) text.remove_prefix(1);
        const Digits exponent = take_digits(text, false);
        if (!exponent.any || exponent.value > 40) return -1;
        power += static_cast<int>(minus ? -exponent.value : exponent.value);
    }
    if (!text.empty()) return -1;
    constexpr __int128 kMost = 1'000'000'000'000'000'000;
    __int128 value = mantissa.value;
    power -= mantissa.after_point;
    for (; power > 0 && value > 0; --power) {
        if (value > kMost) return -1;
        value *= 10;
    }
    for (; power < 0 && value > 0; ++power) value = power == -1 ? (value + 5) / 10 : value / 10;
    return value > kMost ? -1 : static_cast<std::int64_t>(value);
}

std::string lower(std::string_view text) {
    std::string low(text);
    for (char& c : low)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return low;
}

void fail(const Place& at, const std::string& key, std::string_view found,
          const std::string& expected, const std::string& example) {
    throw ConfigError({.file = at.file == nullptr ? std::string() : *at.file,
                       .line = at.line,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

}  // namespace weft::text
