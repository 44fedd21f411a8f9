#pragma once
// Sets of instants as sorted, disjoint, half-open intervals: for sums of time without double count.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/units.hpp"

namespace weft {

class Intervals {
  public:
    void add(SimTime begin, SimTime end) {
        if (begin < end) list_.emplace_back(begin, end);
    }
    void add(const Intervals& o) { list_.insert(list_.end(), o.list_.begin(), o.list_.end()); }
    /// Sorts and joins; call before length() and overlap().
    void join() {
        std::sort(list_.begin(), list_.end());
        std::size_t kept = 0;
        for (const auto& i : list_) {
            if (kept > 0 && i.first <= list_[kept - 1].second)
                list_[kept - 1].second = std::max(list_[kept - 1].second, i.second);
            else
                list_[kept++] = i;
        }
        list_.resize(kept);
    }
    [[nodiscard]] SimDuration length() const {
        SimDuration sum;
        for (const auto& [begin, end] : list_) sum += end - begin;
        return sum;
    }
    [[nodiscard]] SimDuration overlap(const Intervals& o) const {
        SimDuration sum;
        std::size_t j = 0;
        for (const auto& [begin, end] : list_) {
            while (j < o.list_.size() && o.list_[j].second <= begin) ++j;
            for (std::size_t k = j; k < o.list_.size() && o.list_[k].first < end; ++k)
                sum += std::min(end, o.list_[k].second) - std::max(begin, o.list_[k].first);
        }
        return sum;
    }

  private:
    std::vector<std::pair<SimTime, SimTime>> list_;
};

}  // namespace weft
