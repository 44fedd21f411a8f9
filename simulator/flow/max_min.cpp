#include "simulator/flow/max_min.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace weft::flow {
namespace {

constexpr std::int64_t kUnset = -1;
constexpr auto kHigher = [](const auto& a, const auto& b) { return a.rate > b.rate; };

}  // namespace

MaxMin::MaxMin(const Incidence& loads, std::size_t links)
    : loads_(&loads),
      first_row_(links + 1, 0),
      rows_(loads.link.size()),
      links_(links),
      rate_of_row_(loads.rows(), kUnset),
      active_(loads.rows(), 0) {
    for (const std::uint32_t l : loads.link) ++first_row_[l + 1];
    for (std::size_t l = 0; l < links; ++l) first_row_[l + 1] += first_row_[l];
    std::vector<std::uint32_t> next(first_row_.begin(), first_row_.end() - 1);
    for (std::size_t r = 0; r < loads.rows(); ++r) {
        WEFT_CHECK(loads.first[r] < loads.first[r + 1], "variable {} crosses no link", r);
        for (std::uint32_t i = loads.first[r]; i < loads.first[r + 1]; ++i)
            rows_[next[loads.link[i]]++] = static_cast<std::uint32_t>(r);
    }
}

std::int64_t MaxMin::level(std::uint32_t link) const {
    return static_cast<std::int64_t>(links_[link].left / links_[link].weight);
}

void MaxMin::push(Level entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), kHigher);
}

void MaxMin::load_links(std::span<const std::uint32_t> active) {
    touched_.clear();
    heap_.clear();
    for (const std::uint32_t r : active) {
        active_[r] = 1;
        for (std::uint32_t i = loads_->first[r]; i < loads_->first[r + 1]; ++i) {
            LinkState& s = links_[loads_->link[i]];
            if (!s.in_use) {
                s = {.left = capacity_[loads_->link[i]] * kFull, .weight = 0, .in_use = true};
                touched_.push_back(loads_->link[i]);
            }
            s.weight += loads_->weight[i];
        }
    }
    for (const std::uint32_t l : touched_) heap_.push_back({level(l), l});
    std::make_heap(heap_.begin(), heap_.end(), kHigher);
}

/// All links at the lowest level, into lowest_links_. Levels only rise, so an entry of the heap
/// that is out of date is too low and goes back with its new level.
void MaxMin::pop_lowest(std::int64_t& lowest) {
    lowest_links_.clear();
    while (!heap_.empty()) {
        const Level top = heap_.front();
        if (!lowest_links_.empty() && top.rate > lowest) return;
        std::pop_heap(heap_.begin(), heap_.end(), kHigher);
        heap_.pop_back();
        if (links_[top.link].weight == 0) continue;
        const std::int64_t now = level(top.link);
        if (now > top.rate) {
            push({now, top.link});
            continue;
        }
        lowest = now;
        lowest_links_.push_back(top.link);
    }
}

void MaxMin::freeze(std::uint32_t row, std::int64_t rate) {
    rate_of_row_[row] = rate;
    for (std::uint32_t i = loads_->first[row]; i < loads_->first[row + 1]; ++i) {
        LinkState& s = links_[loads_->link[i]];
        s.weight -= loads_->weight[i];
        s.left -= loads_->weight[i] * rate;
    }
}

void MaxMin::solve(std::span<const std::uint32_t> active, std::vector<std::int64_t>& rates) {
    load_links(active);
    std::int64_t lowest = 0;
    while (pop_lowest(lowest), !lowest_links_.empty())
        for (const std::uint32_t l : lowest_links_)
            for (std::uint32_t i = first_row_[l]; i < first_row_[l + 1]; ++i)
                if (active_[rows_[i]] != 0 && rate_of_row_[rows_[i]] == kUnset)
                    freeze(rows_[i], lowest);
    rates.clear();
    for (const std::uint32_t r : active) {
        rates.push_back(rate_of_row_[r]);
        rate_of_row_[r] = kUnset;
        active_[r] = 0;
    }
    for (const std::uint32_t l : touched_) links_[l].in_use = false;
}

void MaxMin::share_equally(std::span<const std::uint32_t> active,
                           std::vector<std::int64_t>& rates) {
    load_links(active);
    rates.clear();
    for (const std::uint32_t r : active) {
        std::int64_t lowest = level(loads_->link[loads_->first[r]]);
        for (std::uint32_t i = loads_->first[r]; i < loads_->first[r + 1]; ++i)
            lowest = std::min(lowest, level(loads_->link[i]));
        rates.push_back(lowest);
        active_[r] = 0;
    }
    for (const std::uint32_t l : touched_) links_[l].in_use = false;
}

}  // namespace weft::flow
