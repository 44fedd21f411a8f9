#pragma once
// Estimate: one figure of a machine, the range it is believed in, and where it comes from; its
// units, its text and its YAML form. Leaves out: what the figure means (profile.hpp, detailed.hpp).
#include <cstdint>
#include <string>

namespace weft {

class MapReader;

enum class CostUnit : std::uint8_t { kTime, kPerMille, kBytesPerSecond, kBytes, kCount };

/// A figure, the range it is believed in (5 to 95 %), and where it comes from.
struct Estimate {
    std::int64_t value = 0;
    std::int64_t low = 0;
    std::int64_t high = 0;
    std::string from;
    bool operator==(const Estimate&) const = default;
};

/// "17.2us", 824 per mille as "82.4%", "141000MB/s", "64KiB", "24"; and back (ConfigError without
/// place).
[[nodiscard]] std::string value_text(CostUnit unit, std::int64_t value);
[[nodiscard]] std::int64_t parse_value(CostUnit unit, const std::string& text);

/// `{value: ..., low: ..., high: ..., from: "..."}`, and back: ConfigError names the place, and
/// what lies outside of least to most.
[[nodiscard]] std::string to_yaml(const Estimate& e, CostUnit unit);
[[nodiscard]] Estimate read_estimate(MapReader& r, CostUnit unit, std::int64_t least,
                                     std::int64_t most);

/// A YAML scalar that reads back as the text.
[[nodiscard]] std::string quoted_yaml(const std::string& text);
/// "64KiB" where that is exact, else bytes.
[[nodiscard]] std::string exact_size(std::int64_t bytes);

}  // namespace weft
