// The lines of NCCL_DEBUG=INFO, of the versions 2.4 to 2.30.
#include <algorithm>
#include <array>
#include <charconv>

#include "traces/measurements/detail/lines.hpp"
#include "traces/nccl_tests/nccl_tests.hpp"

namespace weft::nccl_tests {
namespace {

using logs::whole_number;
using logs::words_of;

constexpr std::size_t kMaxChoices = 100'000;
// Numbers that older versions print in place of names.
constexpr std::array kAlgorithms{"tree",     "ring", "collnetdirect", "collnetchain", "nvls",
                                 "nvlstree", "pat"};
constexpr std::array kProtocols{"ll", "ll128", "simple"};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

template <std::size_t N>
std::string name_or_number(std::string_view word, const std::array<const char*, N>& names) {
    const std::int64_t n = whole_number(word);
    if (n >= 0) return n < static_cast<std::int64_t>(N) ? names[static_cast<std::size_t>(n)] : "";
    const std::string name = lower(word);
    const bool plain = name.size() <= 16 && std::all_of(name.begin(), name.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
                       });
    return plain ? name : "";
}

/// The whole number after `word`, or 0.
std::int64_t after(const std::vector<std::string_view>& words, std::string_view word) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        if (words[i] == word) return std::max<std::int64_t>(0, whole_number(words[i + 1]));
    return 0;
}

/// "{0..15}" or "{Lo..Hi}={0..15}": how many.
int span_of(std::string_view word) {
    const std::size_t open = word.find_last_of('{');
    if (open == std::string_view::npos) return 0;
    const std::size_t dots = word.find("..", open);
    const std::size_t close = word.find('}', open);
    if (dots == std::string_view::npos || close == std::string_view::npos || close < dots) return 0;
    const std::int64_t low = whole_number(word.substr(open + 1, dots - open - 1));
    const std::int64_t high = whole_number(word.substr(dots + 2, close - dots - 2));
    return low < 0 || high < low || high > 4096 ? 0 : static_cast<int>(high - low + 1);
}

SimDuration microseconds(std::string_view word) {
    double us = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), us);
    if (error != std::errc{} || end != word.data() + word.size() || !(us > 0) || us > 1e9)
        return {};
    return SimDuration{static_cast<std::int64_t>(us * 1e6)};
}

/// "[AllReduce:] N Bytes -> Algo X proto Y [time Z] [channel{Lo..Hi}={0..15}]".
bool read_choice(const std::vector<std::string_view>& words, int number, NcclFacts& facts) {
    const auto arrow = std::find(words.begin(), words.end(), "->");
    const auto at = static_cast<std::size_t>(arrow - words.begin());
    if (arrow == words.end() || at < 2 || words[at - 1] != "Bytes") return false;
    LoggedChoice c;
    c.line = number;
    const std::int64_t size = whole_number(words[at - 2]);
    if (size < 0) return false;
    c.size = Bytes{size};
    if (at >= 3 && words[at - 3].ends_with(":"))
        c.collective = printable(words[at - 3].substr(0, words[at - 3].size() - 1), 32);
    for (std::size_t i = at + 1; i < words.size(); ++i) {
        const bool more = i + 1 < words.size();
        if (words[i] == "Algo" && more) c.algorithm = name_or_number(words[i + 1], kAlgorithms);
        if (words[i] == "proto" && more) c.protocol = name_or_number(words[i + 1], kProtocols);
        if (words[i] == "time" && more) c.predicted = microseconds(words[i + 1]);
        if (words[i].starts_with("channel")) c.channels = span_of(words[i]);
    }
    if (c.algorithm.empty() || facts.choices.size() >= kMaxChoices) return true;
    // Every rank prints it, and every iteration: the same line again says nothing new.
    for (auto known = facts.choices.rbegin(); known != facts.choices.rend(); ++known) {
        if (known - facts.choices.rbegin() > 64) break;
        if (known->size == c.size && known->collective == c.collective &&
            known->algorithm == c.algorithm && known->protocol == c.protocol)
            return true;
    }
    facts.choices.push_back(std::move(c));
    return true;
}

void read_channels(const std::vector<std::string_view>& words, NcclFacts& facts) {
    const auto before = [&](std::string_view kind) {
        for (std::size_t i = 1; i + 1 < words.size(); ++i) {
            const bool here = words[i] == kind && words[i + 1].starts_with("channels");
            if (here)
                return static_cast<int>(
                    std::clamp<std::int64_t>(whole_number(words[i - 1]), 0, 4096));
        }
        return 0;
    };
    facts.channels = std::max(facts.channels, before("coll"));
    facts.nvls_channels = std::max(facts.nvls_channels, before("nvls"));
    facts.p2p_channels = std::max(facts.p2p_channels, before("p2p"));
}

std::uint32_t small(std::int64_t n) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(n, 0, 1 << 20));
}

std::string version_in(std::string_view line) {
    const std::size_t at = line.find("NCCL version ");
    if (at == std::string_view::npos) return {};
    std::string version;
    for (const char c : line.substr(at + 13)) {
        if (c != '.' && (c < '0' || c > '9')) break;
        version += c;
    }
    return version.size() <= 16 && version.find('.') != std::string::npos ? version : "";
}

}  // namespace

bool read_log_line(std::string_view line, int number, NcclFacts& facts) {
    const std::string version = version_in(line);
    if (!version.empty()) facts.version = version;
    const bool log = line.find("NCCL INFO") != std::string_view::npos ||
                     line.find("NCCL WARN") != std::string_view::npos;
    if (!log) return !version.empty();
    const std::vector<std::string_view> words = words_of(line);
    if (read_choice(words, number, facts)) return true;
    read_channels(words, facts);
    const std::int64_t ranks = std::max(after(words, "nRanks"), after(words, "nranks"));
    facts.ranks = std::max(facts.ranks, small(ranks));
    facts.hosts = std::max(facts.hosts, small(after(words, "nNodes")));
    const auto says = [&](std::string_view text) {
        return line.find(text) != std::string_view::npos;
    };
    facts.rings = facts.rings || says("Connected all rings");
    facts.trees = facts.trees || says("Connected all trees");
    facts.nvls = facts.nvls || says("Connected NVLS tree") || says("NVLS comm");
    return true;
}

}  // namespace weft::nccl_tests
