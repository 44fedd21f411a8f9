#pragma once
// CompletionTimes: how long messages take, by size, in bounded memory.
//
// Models: counts in buckets of 1/128 of an octave and less (HdrHistogram's way): a percentile is
// the nearest rank's bucket's upper edge, at most 0.8 % too large, never more than the largest.
// Sizes by power of two. Exact integers, whatever the order. Leaves out: single messages.
// Cost: at most 90 kB a size class that occurs.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "traces/results.hpp"

namespace weft::packet {

class Histogram {
  public:
    /// `value` is not negative.
    void add(std::int64_t value);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] Percentiles percentiles() const;
    /// Edges of every fourth bucket that hold more than the one before, and how many values lie up
    /// to there.
    [[nodiscard]] std::vector<std::pair<std::int64_t, std::uint64_t>> cumulative() const;

  private:
    [[nodiscard]] std::int64_t rank(unsigned percent) const;

    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    std::int64_t max_ = 0;
};

class CompletionTimes {
  public:
    void add(Bytes size, SimDuration took, SimDuration alone);
    [[nodiscard]] bool empty() const { return all_.slowdowns.count() == 0; }
    [[nodiscard]] Completions summary(std::string what) const;

  private:
    struct Class {
        Bytes largest;
        Histogram times;
        Histogram slowdowns;
    };
    static void add(Class& c, Bytes size, std::int64_t took, std::int64_t slowdown);

    std::map<int, Class> sizes_;  // by the power of two that is not smaller
    Class all_;
};

}  // namespace weft::packet
