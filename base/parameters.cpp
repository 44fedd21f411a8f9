#include "base/parameters.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace weft {

KeyValues parse_settings(const std::vector<std::string>& settings) {
    KeyValues pairs;
    for (const std::string& item : settings) {
        const std::size_t equals = item.find('=');
        if (equals == std::string::npos || equals == 0)
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = "settings",
                               .found = printable(item),
                               .expected = "key=value",
                               .example = "segments=2"});
        pairs.emplace_back(item.substr(0, equals), item.substr(equals + 1));
    }
    return pairs;
}

Parameters::Parameters(const RegistryInfo& info, const KeyValues& given, std::string where)
    : where_(std::move(where)) {
    std::vector<std::string> names;
    for (const Parameter& p : info.parameters) {
        names.push_back(p.name);
        values_.emplace_back(p.name, p.fallback);
    }
    std::vector<std::string> seen;
    for (const auto& [key, value] : given) {
        const auto at = std::find(names.begin(), names.end(), key);
        if (at == names.end())
            throw ConfigError(
                {.file = {},
                 .line = 0,
                 .key = where_,
                 .found = printable(key),
                 .expected = names.empty() ? "no parameter" : "one of " + suggest(key, names),
                 .example = names.empty() ? "" : names.front() + "=" + values_.front().second});
        if (std::find(seen.begin(), seen.end(), key) != seen.end())
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = where_ + ": " + key,
                               .found = "the key twice",
                               .expected = "each parameter once",
                               .example = key + "=" + printable(value)});
        seen.push_back(key);
        values_[static_cast<std::size_t>(at - names.begin())].second = value;
    }
}

const std::string& Parameters::text(const std::string& key) const {
    for (const auto& [name, value] : values_)
        if (name == key) return value;
    check_failed(__FILE__, __LINE__, "declared parameter", key);
}

void Parameters::reject(const std::string& key, const std::string& expected,
                        const std::string& example) const {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = where_ + ": " + key,
                       .found = printable(text(key)),
                       .expected = expected,
                       .example = example});
}

int Parameters::count(const std::string& key, int low, int high) const {
    const std::string& t = text(key);
    int value = 0;
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
    if (error != std::errc{} || end != t.data() + t.size() || value < low || value > high)
        reject(key, fmt::format("an integer from {} to {}", low, high), std::to_string(low));
    return value;
}

Bandwidth Parameters::rate(const std::string& key) const {
    Bandwidth rate;
    try {
        rate = parse_bandwidth(text(key));
    } catch (const ConfigError& e) {
        throw e.at({}, 0, where_ + ": " + key);
    }
    if (rate <= Bandwidth{0}) reject(key, "a positive rate", "400Gbps");
    return rate;
}

Bandwidth Parameters::rate_or(const std::string& key, const std::string& word,
                              Bandwidth instead) const {
    return text(key) == word ? instead : rate(key);
}

SimDuration Parameters::duration(const std::string& key) const {
    try {
        return parse_duration(text(key));
    } catch (const ConfigError& e) {
        throw e.at({}, 0, where_ + ": " + key);
    }
}

std::int64_t Parameters::share(const std::string& key, std::int64_t low, std::int64_t high) const {
    std::int64_t value = 0;
    try {
        value = parse_share(text(key));
    } catch (const ConfigError& e) {
        throw e.at({}, 0, where_ + ": " + key);
    }
    if (value < low || value > high)
        reject(key, fmt::format("{} to {}", share_text(low), share_text(high)), share_text(high));
    return value;
}

bool Parameters::is(const std::string& key, const std::string& word) const {
    return text(key) == word;
}

Bytes Parameters::bytes(const std::string& key) const {
    Bytes size;
    try {
        size = parse_bytes(text(key));
    } catch (const ConfigError& e) {
        throw e.at({}, 0, where_ + ": " + key);
    }
    if (size <= Bytes{0}) reject(key, "at least 1 B", "64KiB");
    return size;
}

std::size_t Parameters::choice(const std::string& key,
                               const std::vector<std::string>& names) const {
    const auto at = std::find(names.begin(), names.end(), text(key));
    if (at == names.end()) reject(key, "one of " + suggest(text(key), names), names.front());
    return static_cast<std::size_t>(at - names.begin());
}

}  // namespace weft
