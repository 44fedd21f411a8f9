#include "simulator/endpoint/remainder.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

#include "base/result.hpp"
#include "simulator/endpoint/estimate.hpp"
#include "topology/io/document.hpp"

namespace weft {
namespace {

constexpr int kLogBits = 16;
constexpr std::int64_t kOctave = std::int64_t{1} << kLogBits;
constexpr std::int64_t kNothing = 1000;
constexpr const char* kExample = "[64KiB, 98.3%]";

/// log2 in 1/65536, rounded down: squaring the mantissa yields one bit of it after the other.
std::int64_t log2_of(Bytes size) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(size.count(), 1));
    const int whole = 63 - std::countl_zero(value);
    std::uint64_t mantissa = whole >= 31 ? value >> (whole - 31) : value << (31 - whole);
    std::int64_t log = whole;
    for (int bit = 0; bit < kLogBits; ++bit) {
        mantissa = mantissa * mantissa >> 31;
        log *= 2;
        if (mantissa < std::uint64_t{1} << 32) continue;
        mantissa /= 2;
        ++log;
    }
    return log;
}

/// On the line from a to b, at part of the whole; to the nearest, halves up.
std::int64_t between(std::int64_t a, std::int64_t b, std::int64_t part, std::int64_t whole) {
    const std::int64_t twice = 2 * (a * (whole - part) + b * part) + whole;
    return twice / (2 * whole);
}

std::int64_t fading(std::int64_t factor, std::int64_t away) {
    return away >= kOctave ? kNothing : between(factor, kNothing, away, kOctave);
}

/// Runs a parser that does not know the place of what it reads.
template <class F>
auto placed(const MapReader& r, const ConfigNode& node, const char* key, F parse) {
    try {
        return parse(node.scalar);
    } catch (const ConfigError& e) {
        throw e.at(r.file(), node.line, r.path_of(key));
    }
}

RemainderRow read_row(const MapReader& r, const ConfigNode& node) {
    const char* key = "factors";
    const auto scalar = [](const ConfigNode& n) { return n.kind == ConfigNode::Kind::kScalar; };
    if (node.kind != ConfigNode::Kind::kList || node.items.size() != 2 || !scalar(node.items[0]) ||
        !scalar(node.items[1]))
        r.reject(node, key, "no pair", "a size and measured / simulated time", kExample);
    RemainderRow row;
    row.size = placed(r, node.items[0], key, [](const std::string& t) { return parse_bytes(t); });
    row.per_mille = placed(r, node.items[1], key, [](const std::string& t) {
        return parse_value(CostUnit::kPerMille, t);
    });
    if (row.size.count() == 0) r.reject(node, key, "size 0", "a size above 0", kExample);
    if (row.per_mille < kLeastRemainder || row.per_mille > kMostRemainder)
        r.reject(node, key, printable(node.items[1].scalar), "1% to 10000%", kExample);
    return row;
}

}  // namespace

std::int64_t remainder_at(const std::vector<RemainderRow>& rows, Bytes size) {
    if (rows.empty()) return kNothing;
    const std::int64_t at = log2_of(size);
    const auto above =
        std::lower_bound(rows.begin(), rows.end(), size,
                         [](const RemainderRow& row, Bytes s) { return row.size < s; });
    if (above == rows.begin()) return fading(above->per_mille, log2_of(above->size) - at);
    const auto below = std::prev(above);
    const std::int64_t from = log2_of(below->size);
    if (above == rows.end()) return fading(below->per_mille, at - from);
    const std::int64_t whole = log2_of(above->size) - from;
    if (whole == 0) return above->per_mille;  // sizes too close for their logarithms to differ
    return between(below->per_mille, above->per_mille, at - from, whole);
}

std::string to_string(const RemainderOf& of) {
    std::string how = of.algorithm.empty() ? "" : " " + of.algorithm;
    if (of.nvls) how += " with nvls";
    return fmt::format("{} on {} host{}, {} ranks, {}{}", name_of(of.collective), of.hosts,
                       of.hosts == 1 ? "" : "s", of.ranks, of.library, how);
}

std::string to_yaml(const std::vector<Remainder>& all) {
    std::string out = all.empty() ? "" : "remainder:\n";
    for (const Remainder& one : all) {
        const RemainderOf& of = one.of;
        out += fmt::format("  - collective: {}\n    hosts: {}\n    ranks: {}\n    library: {}\n",
                           name_of(of.collective), of.hosts, of.ranks, quoted_yaml(of.library));
        if (!of.algorithm.empty())
            out += fmt::format("    algorithm: {}\n", quoted_yaml(of.algorithm));
        if (of.nvls) out += "    nvls: true\n";
        out += "    factors:\n";
        for (const RemainderRow& row : one.rows)
            out += fmt::format("      - [{}, {}]\n", exact_size(row.size.count()),
                               value_text(CostUnit::kPerMille, row.per_mille));
    }
    return out;
}

Remainder read_remainder(MapReader& r) {
    constexpr int kMostHosts = 1 << 20;
    constexpr int kMostRanks = 1 << 24;
    Remainder one;
    std::vector<std::string> names;
    for (const Collective c : kCollectives) names.emplace_back(name_of(c));
    (void)r.at("collective", "allreduce");
    one.of.collective = static_cast<Collective>(r.choice_or("collective", names, 0));
    one.of.hosts = static_cast<std::uint32_t>(r.count("hosts", 1, kMostHosts, "2"));
    one.of.ranks = static_cast<std::uint32_t>(r.count("ranks", 1, kMostRanks, "16"));
    if (one.of.ranks % one.of.hosts != 0)
        r.reject(r.at("ranks", ""), "ranks", std::to_string(one.of.ranks),
                 "as many on each of the hosts", "16");
    one.of.library = r.text("library", "nccl-2.30");
    if (r.has("algorithm")) one.of.algorithm = r.text("algorithm", "ring");
    one.of.nvls = r.choice_or("nvls", {"false", "true"}, 0) == 1;
    if (one.of.nvls && !one.of.algorithm.empty())
        r.reject(r.at("nvls", ""), "nvls", "true beside an algorithm",
                 "one of the two: the library chooses, or it does not", "nvls: false");
    const ConfigNode& factors = r.at("factors", kExample);
    if (factors.kind != ConfigNode::Kind::kList || factors.items.empty())
        r.reject(factors, "factors", "no rows", "sizes and factors", kExample);
    for (const ConfigNode& node : factors.items) {
        const RemainderRow row = read_row(r, node);
        if (!one.rows.empty() && row.size <= one.rows.back().size)
            r.reject(node, "factors", to_string(row.size), "sizes that ascend", kExample);
        one.rows.push_back(row);
    }
    r.finish();
    return one;
}

}  // namespace weft
