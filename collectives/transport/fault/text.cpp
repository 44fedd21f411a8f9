// The text form of a FaultPlan (fault.hpp).
#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <set>

#include "base/result.hpp"
#include "base/units.hpp"
#include "collectives/transport/fault/fault.hpp"

namespace weft::live {

namespace {

using std::chrono::microseconds;

constexpr const char* kExample = "seed=7; drop=1%; kill lane=1 at=5ms lasts=300ms";
// A lane that nobody mends.
constexpr microseconds kForEver = std::chrono::hours(24 * 365);

struct ShareRow {
    const char* name;
    std::uint32_t FaultPlan::*value;
};
constexpr ShareRow kShares[] = {
    {"delay", &FaultPlan::delay},         {"reorder", &FaultPlan::reorder},
    {"sent_late", &FaultPlan::sent_late}, {"received_late", &FaultPlan::received_late},
    {"duplicate", &FaultPlan::duplicate}, {"late", &FaultPlan::late},
    {"healed", &FaultPlan::healed},       {"drop", &FaultPlan::drop},
    {"corrupt", &FaultPlan::corrupt},     {"cut", &FaultPlan::cut},
};
struct TimeRow {
    const char* name;
    microseconds FaultPlan::*value;
};
constexpr TimeRow kTimes[] = {
    {"longest", &FaultPlan::longest},
    {"detect", &FaultPlan::detect},
    {"heal", &FaultPlan::heal},
};

[[noreturn]] void refuse(const std::string& key, const std::string& found,
                         const std::string& expected) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = kExample});
}

/// What throws says under which key.
template <class Parse>
auto at_key(const std::string& key, Parse parse) {
    try {
        return parse();
    } catch (const ConfigError& e) {
        throw e.at({}, 0, key);
    }
}

std::string trimmed(std::string text) {
    text.erase(0, text.find_first_not_of(" \t\n"));
    text.erase(text.find_last_not_of(" \t\n") + 1);
    return text;
}

std::vector<std::string> pieces_of(const std::string& text, char separator) {
    std::vector<std::string> pieces;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(separator, begin), text.size());
        if (std::string piece = trimmed(text.substr(begin, end - begin)); !piece.empty())
            pieces.push_back(std::move(piece));
        begin = end + 1;
    }
    return pieces;
}

std::pair<std::string, std::string> assignment(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        refuse("fault", text, "NAME=VALUE, or kill or slow and its NAME=VALUEs");
    return {trimmed(text.substr(0, equals)), trimmed(text.substr(equals + 1))};
}

std::uint64_t number(const std::string& key, const std::string& text, std::uint64_t most) {
    const bool digits = !text.empty() && text.size() <= 20 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    unsigned __int128 value = 0;
    for (const char c : text) value = digits ? value * 10 + static_cast<unsigned>(c - '0') : 0;
    if (!digits || value > most) refuse(key, text, fmt::format("a number from 0 to {}", most));
    return static_cast<std::uint64_t>(value);
}

microseconds time(const std::string& key, const std::string& text) {
    const SimDuration d = at_key(key, [&] { return parse_duration(text); });
    return microseconds(d.ps() / 1'000'000);
}

/// In a million.
std::uint32_t share(const std::string& key, const std::string& text) {
    const std::int64_t ppb = at_key(key, [&] { return parse_share(text); });
    if (ppb < 0 || ppb > 1'000'000'000) refuse(key, text, "0% to 100% of the messages");
    return static_cast<std::uint32_t>(ppb / 1000);
}

/// "kill lane=1 at=5ms": without the first word.
LaneFault lane_fault(LaneFault::Kind kind, const std::vector<std::string>& words) {
    LaneFault f{.kind = kind, .lasts = kForEver};
    const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
    for (std::size_t i = 1; i < words.size(); ++i) {
        const auto [key, value] = assignment(words[i]);
        if (key == "rank") {
            f.rank = static_cast<std::int32_t>(number(key, value, most));
        } else if (key == "lane") {
            f.lane = static_cast<std::int32_t>(number(key, value, most));
        } else if (key == "after") {
            f.after = number(key, value, std::numeric_limits<std::uint64_t>::max());
        } else if (key == "at") {
            f.at = time(key, value);
        } else if (key == "lasts") {
            f.lasts = time(key, value);
        } else if (key == "rate" && kind == LaneFault::Kind::kSlow) {
            const Bandwidth b = at_key(key, [&, v = value] { return parse_bandwidth(v); });
            f.bytes_per_second = static_cast<std::uint64_t>(b.bits_per_second() / 8);
        } else {
            refuse("fault", words[i],
                   "of kill and slow: rank, lane, after, at, lasts; of slow also rate");
        }
    }
    if (kind == LaneFault::Kind::kSlow && f.bytes_per_second == 0)
        refuse("fault", "slow", "slow rate=... of at least a byte a second");
    return f;
}

void set(FaultPlan& plan, const std::string& key, const std::string& value) {
    if (key == "seed") {
        plan.seed = number(key, value, std::numeric_limits<std::uint64_t>::max());
        return;
    }
    for (const ShareRow& row : kShares)
        if (key == row.name) {
            plan.*row.value = share(key, value);
            return;
        }
    for (const TimeRow& row : kTimes)
        if (key == row.name) {
            plan.*row.value = time(key, value);
            return;
        }
    std::string names = "seed";
    for (const ShareRow& row : kShares) names += fmt::format(", {}", row.name);
    for (const TimeRow& row : kTimes) names += fmt::format(", {}", row.name);
    refuse("fault", key, "one of " + names + ", kill, slow");
}

}  // namespace

FaultPlan parse_fault_plan(const std::string& text) {
    FaultPlan plan;
    std::set<std::string> seen;
    for (const std::string& clause : pieces_of(text, ';')) {
        const std::vector<std::string> words = pieces_of(clause, ' ');
        if (words[0] == "kill") {
            plan.lanes.push_back(lane_fault(LaneFault::Kind::kCut, words));
        } else if (words[0] == "slow") {
            plan.lanes.push_back(lane_fault(LaneFault::Kind::kSlow, words));
        } else {
            const auto [key, value] = assignment(clause);
            if (!seen.insert(key).second) refuse("fault", key, "each name once");
            set(plan, key, value);
        }
    }
    if (plan.share() > 1'000'000) refuse("fault", text, "shares of 100% at most together");
    return plan;
}

}  // namespace weft::live
