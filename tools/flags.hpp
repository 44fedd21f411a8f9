#pragma once
// What the flags of several subcommands need: a name out of a list, and a parser whose error names
// the flag.
#include <string>
#include <utility>
#include <vector>

#include "base/registry.hpp"
#include "base/result.hpp"

namespace weft::tools {

/// The value of a flag in the names it may have.
template <class T>
[[nodiscard]] T pick(const std::string& flag, const std::string& found,
                     const std::vector<std::pair<std::string, T>>& values) {
    std::vector<std::string> names;
    for (const auto& [name, value] : values) {
        if (name == found) return value;
        names.push_back(name);
    }
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = flag,
                       .found = printable(found),
                       .expected = "one of " + suggest(found, names),
                       .example = flag + " " + names.front()});
}

template <class T>
[[nodiscard]] T parse_flag(const char* flag, const std::string& text,
                           T (*parse)(const std::string&)) {
    try {
        return parse(text);
    } catch (const ConfigError& e) {
        throw e.at({}, 0, flag);
    }
}

}  // namespace weft::tools
