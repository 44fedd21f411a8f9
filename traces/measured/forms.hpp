#pragma once
// The three forms of measured times, and what their readers share.
#include "traces/measured/measured.hpp"

namespace weft::measured {

[[nodiscard]] MeasuredTimes read_yaml(const TraceText& file);
[[nodiscard]] MeasuredTimes read_csv(const TraceText& file);
[[nodiscard]] MeasuredTimes read_result(const TraceText& file);

/// The names of Collective, in its order.
[[nodiscard]] const std::vector<std::string>& kind_names();
[[nodiscard]] Collective kind_of(const std::string& name, const std::string& file, int line);
[[noreturn]] void reject(const std::string& file, int line, const std::string& key,
                         const std::string& found, const std::string& expected,
                         const std::string& example);

inline constexpr std::int64_t kMostPs = std::int64_t{30} * 86'400 * 1'000'000'000'000;  // 30 days
inline constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;                       // 1 PiB

}  // namespace weft::measured
