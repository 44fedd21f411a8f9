#include "collectives/select/plan_spec.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace weft {

namespace {

constexpr const char* kExample = "allreduce/ring channels=2 slice=256KiB slots=16";

[[noreturn]] void refuse(const std::string& key, std::string_view found,
                         const std::string& expected, const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (const char c : text) {
        if (c == ' ' || c == '\t' || c == '\n' || c == ',')
            words.emplace_back();
        else if (words.empty())
            words.emplace_back(1, c);
        else
            words.back().push_back(c);
    }
    std::erase(words, "");
    return words;
}

std::uint32_t number_of(const std::string& key, const std::string& value, std::uint32_t most) {
    const bool digits = !value.empty() && value.size() <= 6 &&
                        value.find_first_not_of("0123456789") == std::string::npos;
    const unsigned long n = digits ? std::stoul(value) : 0;
    if (n < 1 || n > most) refuse(key, value, fmt::format("1 to {}", most), "2");
    return static_cast<std::uint32_t>(n);
}

void set(AlgorithmParams& params, const std::string& key, const std::string& value) {
    if (key == "channels") {
        params.channels = number_of(key, value, 64);
    } else if (key == "slots") {
        params.slots = number_of(key, value, 1024);
    } else if (key == "loops") {
        params.loops = number_of(key, value, 1024);
    } else if (key == "slice") {
        try {
            params.slice = parse_bytes(value);
        } catch (const ConfigError& e) {
            throw e.at({}, 0, key);
        }
        if (params.slice.count() < 64 || params.slice.count() > (std::int64_t{1} << 30))
            refuse(key, value, "64 B to 1 GiB", "256KiB");
    } else if (key == "walk") {
        if (value != "alternating" && value != "same-way")
            refuse(key, value, "alternating or same-way", "alternating");
        params.ring_walk = value == "same-way" ? RingWalk::kSameWay : RingWalk::kAlternating;
    } else {
        refuse(key, value, "channels, slots, slice, loops or walk", kExample);
    }
}

}  // namespace

PlanSpec parse_plan_spec(std::string_view text) {
    const std::vector<std::string> words = words_of(text.substr(0, 1'000));
    const std::size_t slash = words.empty() ? 0 : words[0].find('/');
    if (words.empty() || slash == std::string::npos)
        refuse("plan", text, "collective/algorithm, then key=value", kExample);
    PlanSpec spec;
    spec.collective = parse_collective(words[0].substr(0, slash));
    spec.algorithm = find_algorithm(spec.collective, words[0].substr(slash + 1)).info.name;
    spec.params.channels = 1;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::size_t is = words[i].find('=');
        if (is == std::string::npos) refuse("plan", words[i], "key=value", kExample);
        set(spec.params, words[i].substr(0, is), words[i].substr(is + 1));
    }
    return spec;
}

}  // namespace weft
