#include "base/units.hpp"

#include <array>
#include <cmath>
#include <fmt/format.h>
#include <span>
#include <string_view>

#include "base/check.hpp"
#include "base/result.hpp"

namespace weft {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

/// What a kind of quantity accepts, and how to say so.
struct Grammar {
    std::span<const Unit> units;
    const char* expected;
    const char* example;
};

[[noreturn]] void reject(const std::string& text, const Grammar& grammar,
                         const char* why = nullptr) {
    const std::string expected =
        why ? fmt::format("{} ({})", grammar.expected, why) : grammar.expected;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = {},
                       .found = printable(text),
                       .expected = expected,
                       .example = grammar.example});
}

/// The decimal number at the front of the text as mantissa x 10^-places, exactly.
struct Decimal {
    Int128 mantissa = 0;
    int places = 0;
    std::size_t length = 0;
};

Decimal read_decimal(const std::string& text, const Grammar& grammar) {
    Decimal d;
    bool dot = false;
    int digits = 0;
    for (; d.length < text.size(); ++d.length) {
        const char c = text[d.length];
        if (c == '.' && !dot) {
            dot = true;
        } else if (c >= '0' && c <= '9') {
            if (++digits > 18) reject(text, grammar, "at most 18 digits");
            d.mantissa = d.mantissa * 10 + (c - '0');
            d.places += dot ? 1 : 0;
        } else {
            break;
        }
    }
    if (digits == 0) {
        if (!text.empty() && text[0] == '-') reject(text, grammar, "not negative");
        reject(text, grammar);
    }
    return d;
}

std::int64_t parse_quantity(const std::string& text, const Grammar& grammar) {
    const Decimal d = read_decimal(text, grammar);
    std::string_view unit = std::string_view{text}.substr(d.length);
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    if (unit.empty()) {
        if (d.mantissa == 0) return 0;
        reject(text, grammar, "the unit is missing");
    }
    for (const Unit& u : grammar.units) {
        if (u.name != unit) continue;
        Int128 scale = 1;
        for (int i = 0; i < d.places; ++i) scale *= 10;
        const Int128 product = d.mantissa * u.factor;
        const Int128 value = (product + scale / 2) / scale;
        if (value > kMax) reject(text, grammar, "too large");
        if (value == 0 && d.mantissa != 0) reject(text, grammar, "too small to count");
        return static_cast<std::int64_t>(value);
    }
    reject(text, grammar, "unknown unit");
}

constexpr std::int64_t kKilo = 1'000, kMega = 1'000'000, kGiga = 1'000'000'000,
                       kTera = 1'000'000'000'000;

constexpr std::array kByteUnits{
    Unit{"B", 1},           Unit{"KB", kKilo},     Unit{"kB", kKilo},      Unit{"MB", kMega},
    Unit{"GB", kGiga},      Unit{"TB", kTera},     Unit{"KiB", 1LL << 10}, Unit{"MiB", 1LL << 20},
    Unit{"GiB", 1LL << 30}, Unit{"TiB", 1LL << 40}};
constexpr std::array kRateUnits{
    Unit{"bps", 1},          Unit{"kbps", kKilo},      Unit{"Mbps", kMega},
    Unit{"Gbps", kGiga},     Unit{"Tbps", kTera},      Unit{"B/s", 8},
    Unit{"kB/s", 8 * kKilo}, Unit{"MB/s", 8 * kMega},  Unit{"GB/s", 8 * kGiga},
    Unit{"TB/s", 8 * kTera}, Unit{"KiB/s", 8LL << 10}, Unit{"MiB/s", 8LL << 20},
    Unit{"GiB/s", 8LL << 30}};
constexpr std::array kTimeUnits{Unit{"ps", 1}, Unit{"ns", kKilo}, Unit{"us", kMega},
                                Unit{"ms", kGiga}, Unit{"s", kTera}};

constexpr std::array kShareUnits{Unit{"%", 10 * kMega}};

constexpr Grammar kByteGrammar{kByteUnits, "a size with its unit (B, KiB, MiB, GiB, kB, MB, GB)",
                               "64MiB"};
constexpr Grammar kRateGrammar{kRateUnits, "a rate with its unit (Gbps, Mbps, GB/s, GiB/s)",
                               "400Gbps"};
constexpr Grammar kTimeGrammar{kTimeUnits, "a time with its unit (ps, ns, us, ms, s)", "1.5us"};
constexpr Grammar kShareGrammar{kShareUnits, "a share in %, seven decimals at most", "2%"};

/// "1.342 ms": four significant digits, trailing zeros cut, scaled by the largest unit that fits.
std::string scaled(std::int64_t value, std::span<const Unit> units) {
    const Unit* best = &units.front();
    const double magnitude = std::fabs(static_cast<double>(value));
    for (const Unit& u : units)
        if (magnitude >= static_cast<double>(u.factor)) best = &u;
    const double x = static_cast<double>(value) / static_cast<double>(best->factor);
    return fmt::format("{:.{}g} {}", x, std::fabs(x) >= 1000 ? 6 : 4, best->name);
}

}  // namespace

SimDuration transfer_time(Bytes size, Bandwidth rate) {
    WEFT_CHECK(size.count() >= 0 && rate.bits_per_second() > 0, "{} B at {} bit/s", size.count(),
               rate.bits_per_second());
    const Int128 bits = Int128{size.count()} * 8;
    const Int128 t = ceil_div(bits * kTera, rate.bits_per_second());
    WEFT_CHECK(t <= kMax, "{} B at {} bit/s takes more than 106 days", size.count(),
               rate.bits_per_second());
    return SimDuration{static_cast<std::int64_t>(t)};
}

Bytes bytes_in(SimDuration span, Bandwidth rate) {
    const Int128 bytes = Int128{span.ps()} * rate.bits_per_second() / (Int128{8} * kTera);
    WEFT_CHECK(bytes <= kMax, "{} ps at {} bit/s", span.ps(), rate.bits_per_second());
    return Bytes{static_cast<std::int64_t>(bytes)};
}

Bytes parse_bytes(const std::string& text) {
    return Bytes{parse_quantity(text, kByteGrammar)};
}
Bandwidth parse_bandwidth(const std::string& text) {
    return Bandwidth{parse_quantity(text, kRateGrammar)};
}
SimDuration parse_duration(const std::string& text) {
    return SimDuration{parse_quantity(text, kTimeGrammar)};
}

std::int64_t parse_share(const std::string& text) {
    return parse_quantity(text, kShareGrammar);
}

std::string share_text(std::int64_t ppb) {
    std::string text = fmt::format("{}.{:07}", ppb / (10 * kMega), ppb % (10 * kMega));
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text + "%";
}

std::string to_string(Bytes b) {
    static constexpr std::array units{Unit{"B", 1}, Unit{"KiB", 1LL << 10}, Unit{"MiB", 1LL << 20},
                                      Unit{"GiB", 1LL << 30}, Unit{"TiB", 1LL << 40}};
    return scaled(b.count(), units);
}
std::string to_string(Bandwidth b) {
    static constexpr std::array units{Unit{"bps", 1}, Unit{"kbps", kKilo}, Unit{"Mbps", kMega},
                                      Unit{"Gbps", kGiga}, Unit{"Tbps", kTera}};
    return scaled(b.bits_per_second(), units);
}
std::string to_string(SimDuration d) {
    return d.ps() == 0 ? "0" : scaled(d.ps(), kTimeUnits);
}
std::string to_string(SimTime t) {
    return to_string(t - SimTime{});
}

}  // namespace weft
