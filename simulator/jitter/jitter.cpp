#include "simulator/jitter/jitter.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <vector>

#include "base/check.hpp"
#include "base/registry.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"

namespace weft {
namespace {

constexpr std::int64_t kWhole = 1'000'000'000;  // ppb
constexpr std::int64_t kMostNoise = kWhole / 5;
constexpr std::int64_t kMostSlower = 10 * kWhole;
constexpr SimDuration kMostStall = 3'600'000 * ms(1);
constexpr const char* kForm = "noise=2%,stragglers=0.5%:15%,stalls=0.01%:20ms";

[[noreturn]] void reject(const std::string& found, const std::string& expected) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = {},
                       .found = printable(found),
                       .expected = expected,
                       .example = kForm});
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts{""};
    for (const char c : text)
        if (c == at)
            parts.emplace_back();
        else
            parts.back() += c;
    return parts;
}

std::int64_t share(const std::string& text, std::int64_t most) {
    const std::int64_t value = parse_share(text);
    if (value > most) reject(text, fmt::format("at most {}", share_text(most)));
    return value;
}

/// "PROBABILITY:AMOUNT".
std::pair<std::string, std::string> pair_of(const std::string& key, const std::string& value,
                                            const char* amount) {
    const std::vector<std::string> parts = split(value, ':');
    if (parts.size() != 2) reject(key + "=" + value, fmt::format("{}=PROBABILITY:{}", key, amount));
    return {parts[0], parts[1]};
}

void read(const std::string& key, const std::string& value, Jitter& j) {
    if (key == "noise") {
        j.noise_ppb = share(value, kMostNoise);
    } else if (key == "stragglers") {
        const auto [probability, slower] = pair_of(key, value, "SLOWER");
        j.straggler_ppb = share(probability, kWhole);
        j.slower_ppb = share(slower, kMostSlower);
    } else if (key == "stalls") {
        const auto [probability, stall] = pair_of(key, value, "TIME");
        j.stall_ppb = share(probability, kWhole);
        j.stall = parse_duration(stall);
        if (j.stall > kMostStall) reject(stall, "at most 3600s");
    } else {
        const std::vector<std::string> known{"noise", "stragglers", "stalls"};
        reject(key, "one of " + suggest(key, known));
    }
}

/// Whether a thing of this probability befalls the entity.
bool happens(std::int64_t ppb, std::uint64_t seed, std::uint64_t entity, const char* stream) {
    return RandomStream(seed, entity, stream).below(kWhole) < static_cast<std::uint64_t>(ppb);
}

/// A standard normal z in units of 2^-16.
std::int64_t normal_q16(std::uint64_t seed, std::uint64_t entity) {
    RandomStream draws(seed, entity, "jitter-noise");
    std::int64_t sum = -12 * 65535 / 2;
    for (int i = 0; i < 3; ++i) {
        const std::uint64_t bits = draws.next();
        for (int shift = 0; shift < 64; shift += 16)
            sum += static_cast<std::int64_t>((bits >> shift) & 0xffff);
    }
    return sum;
}

/// t e^x with x in units of 2^-20, |x| <= 1.2.
Int128 times_exp(Int128 t, std::int64_t x_q20) {
    const Int128 one = Int128{1} << 20;
    const Int128 x = x_q20;
    const Int128 even = 12 * one * one + x * x;
    const Int128 odd = 6 * one * x;
    return t * (even + odd) / (even - odd);
}

}  // namespace

Jitter parse_jitter(const std::string& text) {
    Jitter j;
    if (text == "none") return j;
    std::vector<std::string> seen;
    for (const std::string& part : split(text, ',')) {
        const std::size_t equals = part.find('=');
        if (equals == std::string::npos) reject(part, "KEY=VALUE, or \"none\"");
        const std::string key = part.substr(0, equals);
        if (std::find(seen.begin(), seen.end(), key) != seen.end())
            reject(part, "each of noise, stragglers and stalls at most once");
        read(key, part.substr(equals + 1), j);
        seen.push_back(key);
    }
    return j;
}

std::string to_string(const Jitter& j) {
    if (!j.any()) return "none";
    std::vector<std::string> parts;
    if (j.noise_ppb > 0) parts.push_back("noise=" + share_text(j.noise_ppb));
    if (j.straggler_ppb > 0)
        parts.push_back(
            fmt::format("stragglers={}:{}", share_text(j.straggler_ppb), share_text(j.slower_ppb)));
    if (j.stall_ppb > 0)
        parts.push_back(fmt::format("stalls={}:{}ps", share_text(j.stall_ppb), j.stall.ps()));
    return fmt::format("{}", fmt::join(parts, ","));
}

RankJitter::RankJitter(const Jitter& jitter, std::uint64_t seed, std::uint32_t rank)
    : jitter_(jitter), seed_(seed), rank_(rank) {
    if (jitter.straggler_ppb > 0)
        straggles_ = happens(jitter.straggler_ppb, seed, rank, "jitter-straggler");
}

bool RankJitter::stalls(std::uint32_t op) const {
    return jitter_.stall_ppb > 0 &&
           happens(jitter_.stall_ppb, seed_, mix64(rank_, op), "jitter-stall");
}

SimDuration RankJitter::of(std::uint32_t op, SimDuration time) const {
    if (time.ps() == 0) return time;
    Int128 t = time.ps();
    if (straggles_) t += t * jitter_.slower_ppb / kWhole;
    if (jitter_.noise_ppb > 0) {
        const std::int64_t z = normal_q16(seed_, mix64(rank_, op));
        t = times_exp(t, z * 16 * jitter_.noise_ppb / kWhole);
    }
    if (stalls(op)) t += jitter_.stall.ps();
    WEFT_CHECK(t <= std::numeric_limits<std::int64_t>::max(), "{} with jitter", to_string(time));
    return SimDuration{static_cast<std::int64_t>(std::max(t, Int128{1}))};
}

}  // namespace weft
