#include "simulator/endpoint/estimate.hpp"

#include <fmt/format.h>

#include "base/result.hpp"
#include "base/units.hpp"
#include "topology/io/document.hpp"

namespace weft {
namespace {

constexpr std::int64_t kPsPerUs = 1'000'000;

[[noreturn]] void reject(const std::string& found, const std::string& expected,
                         const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = {},
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

/// "82.4%" -> 824.
std::int64_t parse_per_mille(const std::string& text) {
    const auto bad = [&]() { reject(text, "a percentage with at most one decimal", "82.4%"); };
    std::int64_t value = 0;
    std::size_t i = 0;
    int decimals = -1;
    for (; i < text.size() && text[i] != '%'; ++i) {
        if (text[i] == '.' && decimals < 0 && i > 0) {
            decimals = 0;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || value > 1'000'000 || decimals > 0) bad();
        value = value * 10 + (text[i] - '0');
        if (decimals >= 0) ++decimals;
    }
    if (i == 0 || i + 1 != text.size() || decimals == 0) bad();
    return decimals == 1 ? value : value * 10;
}

std::int64_t parse_count(const std::string& text) {
    constexpr std::int64_t kMost = 1'000'000'000'000;
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9' || value > kMost) reject(text, "a whole number", "24");
        value = value * 10 + (c - '0');
    }
    if (text.empty()) reject(text, "a whole number", "24");
    return value;
}

std::string time_text(std::int64_t ps) {
    const auto us = fmt::format("{}.{:06}", ps / kPsPerUs, ps % kPsPerUs);
    const std::size_t last = us.find_last_not_of('0');
    return us.substr(0, us[last] == '.' ? last : last + 1) + "us";
}

}  // namespace

std::string value_text(CostUnit unit, std::int64_t value) {
    switch (unit) {
        case CostUnit::kTime:
            return time_text(value);
        case CostUnit::kPerMille:
            return value % 10 == 0 ? fmt::format("{}%", value / 10)
                                   : fmt::format("{}.{}%", value / 10, value % 10);
        case CostUnit::kBytesPerSecond:
            return fmt::format("{}MB/s", value / 1'000'000);
        case CostUnit::kBytes:
            return exact_size(value);
        case CostUnit::kCount:
            return std::to_string(value);
    }
    return {};
}

std::int64_t parse_value(CostUnit unit, const std::string& text) {
    switch (unit) {
        case CostUnit::kTime:
            return parse_duration(text).ps();
        case CostUnit::kPerMille:
            return parse_per_mille(text);
        case CostUnit::kBytesPerSecond:
            return parse_bandwidth(text).bits_per_second() / 8;
        case CostUnit::kBytes:
            return parse_bytes(text).count();
        case CostUnit::kCount:
            return parse_count(text);
    }
    return 0;
}

std::string to_yaml(const Estimate& e, CostUnit unit) {
    std::string out = fmt::format("{{value: {}, low: {}, high: {}", value_text(unit, e.value),
                                  value_text(unit, e.low), value_text(unit, e.high));
    out += e.from.empty() ? "}" : fmt::format(", from: {}}}", quoted_yaml(e.from));
    return out;
}

Estimate read_estimate(MapReader& r, CostUnit unit, std::int64_t least, std::int64_t most) {
    const std::string example = value_text(unit, least);
    const auto value = [&](const char* key) {
        const ConfigNode& node = r.at(key, example);
        if (node.kind != ConfigNode::Kind::kScalar)
            r.reject(node, key, "a list or map", "a value with its unit", example);
        try {
            const std::int64_t v = parse_value(unit, node.scalar);
            if (v < least || v > most)
                reject(node.scalar, fmt::format("{} to {}", example, value_text(unit, most)),
                       example);
            return v;
        } catch (const ConfigError& e) {
            throw e.at(r.file(), node.line, r.path_of(key));
        }
    };
    Estimate e;
    e.value = value("value");
    e.low = r.has("low") ? value("low") : e.value;
    e.high = r.has("high") ? value("high") : e.value;
    if (e.low > e.value || e.high < e.value)
        r.reject(r.at("value", ""), "value", value_text(unit, e.value), "low <= value <= high", "");
    if (r.has("from")) e.from = r.text("from", "8x H100, 8 KiB to 256 KiB");
    r.finish();
    return e;
}

std::string quoted_yaml(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out + '"';
}

std::string exact_size(std::int64_t bytes) {
    const Bytes b{bytes};
    std::string text = to_string(b);
    std::erase(text, ' ');
    return parse_bytes(text) == b ? text : fmt::format("{}B", bytes);
}

}  // namespace weft
