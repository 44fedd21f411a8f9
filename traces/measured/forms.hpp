#pragma once
// The forms of measured times, and what their readers share.
#include <map>
#include <tuple>
#include <utility>

#include "traces/measured/measured.hpp"

namespace weft::measured {

[[nodiscard]] MeasuredTimes read_yaml(const TraceText& file);
[[nodiscard]] MeasuredTimes read_csv(const TraceText& file);
[[nodiscard]] MeasuredTimes read_result(const TraceText& file);
[[nodiscard]] MeasuredTimes read_flight_recorder(const TraceText& file);
[[nodiscard]] MeasuredTimes read_inspector(const TraceText& file);

using RowKey = std::tuple<std::string, Collective, Bytes>;  // family, kind, size

/// The rows of a record, each with the family that its communicator is; rows that no family of
/// `known` answers to are taken out and described.
[[nodiscard]] std::vector<std::string> resolve(const MeasuredTimes& times, const Workload& w,
                                               const std::map<RowKey, std::int64_t>& known,
                                               std::vector<MeasuredRow>& rows);

/// What records of single collectives add up to. Of one collective that several members recorded
/// the shortest time counts: the last to arrive waited for nobody.
class Recorded {
  public:
    /// The index of that group, which is made where it is new.
    std::uint32_t group(MeasuredGroup group);
    [[nodiscard]] std::uint32_t ranks(std::uint32_t group) const { return groups_[group].size; }
    /// `run` tells the collectives of one group, kind and size apart, alike on all members.
    void add(std::uint32_t group, Collective kind, Bytes size, const std::string& run,
             SimDuration time);
    [[nodiscard]] bool empty() const { return all_.empty(); }
    /// Moves groups, rows and the note into `times`. `what`: "flight recorder".
    void give(MeasuredTimes& times, const std::string& what);

  private:
    struct Shortest {
        SimDuration time;
        std::int64_t members = 0;
    };
    std::vector<MeasuredGroup> groups_;
    std::map<std::tuple<std::string, std::uint32_t, std::vector<std::uint32_t>>, std::uint32_t>
        index_;
    std::map<std::tuple<std::uint32_t, Collective, Bytes>, std::map<std::string, Shortest>> all_;
};

/// The names of Collective, in its order.
[[nodiscard]] const std::vector<std::string>& kind_names();
[[nodiscard]] Collective kind_of(const std::string& name, const std::string& file, int line);
[[noreturn]] void reject(const std::string& file, int line, const std::string& key,
                         const std::string& found, const std::string& expected,
                         const std::string& example);

inline constexpr std::int64_t kMostPs = std::int64_t{30} * 86'400 * 1'000'000'000'000;  // 30 days
inline constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;                       // 1 PiB

}  // namespace weft::measured
