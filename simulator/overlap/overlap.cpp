#include "simulator/overlap/overlap.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <vector>

#include "base/registry.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace weft {
namespace {

constexpr std::int64_t kWhole = 1'000'000'000;         // ppb
constexpr std::int64_t kMostMemory = kWhole / 10 * 9;  // of the memory's rate, by all together
constexpr std::uint32_t kMostCount = 65'536;
constexpr const char* kForm = "sm:sms=132,blocks=132,held=24,own=52.7%,memory=27%";

[[noreturn]] void reject(const std::string& found, const std::string& expected) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = {},
                       .found = printable(found),
                       .expected = expected,
                       .example = kForm});
}

struct Form {
    const char* name;
    OverlapModel model;
};
constexpr std::array kForms{Form{"ideal", OverlapModel::kIdeal}, Form{"sm", OverlapModel::kSm},
                            Form{"copy-engine", OverlapModel::kCopyEngine}};

std::uint32_t count(const std::string& text, std::uint32_t least) {
    const bool digits = !text.empty() && text.size() <= 5 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    const unsigned long value = digits ? std::stoul(text) : 0;
    if (!digits || value < least || value > kMostCount)
        reject(text, fmt::format("a number from {} to {}", least, kMostCount));
    return static_cast<std::uint32_t>(value);
}

std::int64_t share(const std::string& text, std::int64_t most) {
    const std::int64_t value = parse_share(text);
    if (value > most) reject(text, "at most " + share_text(most));
    return value;
}

void set(Overlap& o, const std::string& key, const std::string& value) {
    const bool sm = o.model == OverlapModel::kSm;
    if (key == "memory") {
        o.memory_ppb = share(value, kMostMemory);
    } else if (key == "own") {
        o.own_ppb = share(value, kWhole);
    } else if (key == "sms" && sm) {
        o.sms = count(value, 1);
    } else if (key == "blocks" && sm) {
        o.blocks = count(value, 1);
    } else if (key == "held" && sm) {
        o.held = count(value, 0);
    } else {
        const std::vector<std::string> known =
            sm ? std::vector<std::string>{"sms", "blocks", "held", "own", "memory"}
               : std::vector<std::string>{"own", "memory"};
        reject(key, "one of " + suggest(key, known));
    }
}

std::int64_t waves(std::int64_t blocks, std::int64_t sms) {
    return (blocks + sms - 1) / sms;
}

}  // namespace

Slowdown slowdown(const Overlap& o, Pressure p) {
    if (o.model == OverlapModel::kIdeal || p == Pressure{}) return {};
    // A GPU whose every SM is held would compute nothing: the last stays free.
    const std::int64_t held =
        o.model == OverlapModel::kSm
            ? std::min(std::int64_t{o.held} * p.arrived, std::int64_t{o.sms} - 1)
            : 0;
    const std::int64_t taken = std::min(o.memory_ppb * p.moving, kMostMemory);
    const Int128 own = Int128{o.own_ppb} * o.sms;
    const Int128 shared = Int128{kWhole - o.own_ppb} * o.blocks;
    const Int128 beside = own * waves(o.blocks, o.sms - held) + shared * kWhole / (kWhole - taken);
    const Int128 alone = own * waves(o.blocks, o.sms) + shared;
    return {static_cast<std::int64_t>(beside), static_cast<std::int64_t>(alone)};
}

Overlap parse_overlap(const std::string& text) {
    Overlap o;
    const std::size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    const auto* form =
        std::find_if(kForms.begin(), kForms.end(), [&](const Form& f) { return name == f.name; });
    if (form == kForms.end())
        reject(name, "one of " + suggest(name, {"ideal", "sm", "copy-engine"}));
    o.model = form->model;
    if (colon == std::string::npos) return o;
    if (o.model == OverlapModel::kIdeal) reject(text, "ideal alone: it has no figures");
    std::vector<std::string> seen;
    for (std::size_t at = colon + 1; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string part = text.substr(at, end - at);
        const std::size_t equals = part.find('=');
        if (equals == std::string::npos) reject(part, "KEY=VALUE");
        const std::string key = part.substr(0, equals);
        if (std::find(seen.begin(), seen.end(), key) != seen.end()) reject(part, "each key once");
        set(o, key, part.substr(equals + 1));
        seen.push_back(key);
        at = end + 1;
    }
    return o;
}

std::string to_string(const Overlap& o) {
    const std::string rest =
        fmt::format("own={},memory={}", share_text(o.own_ppb), share_text(o.memory_ppb));
    if (o.model == OverlapModel::kIdeal) return "ideal";
    if (o.model == OverlapModel::kCopyEngine) return "copy-engine:" + rest;
    return fmt::format("sm:sms={},blocks={},held={},{}", o.sms, o.blocks, o.held, rest);
}

}  // namespace weft
