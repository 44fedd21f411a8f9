#include "simulator/packet/pause_log.hpp"

#include <algorithm>
#include <tuple>

namespace weft::packet {
namespace {

constexpr std::uint32_t kNowhere = ~0U;
constexpr std::int64_t kFirstGap = 1'000'000;  // 1 us

}  // namespace

/// True: the span now belongs to the last one of its port.
bool PauseLog::extend(const PauseSpan& s) {
    if (last_.size() <= s.port) last_.resize(s.port + std::size_t{1}, kNowhere);
    if (last_[s.port] == kNowhere) return false;
    PauseSpan& last = spans_[last_[s.port]];
    if (s.from - last.to > gap_) return false;
    if (s.longest > last.longest) {
        last.longest = s.longest;
        last.root = s.root;
    }
    last.to = s.to;
    last.pauses += s.pauses;
    last.paused += s.paused;
    return true;
}

void PauseLog::add(std::uint32_t port, std::uint32_t root, std::int64_t from, std::int64_t to) {
    const PauseSpan s{.port = port,
                      .root = root,
                      .pauses = 1,
                      .from = from,
                      .to = to,
                      .paused = to - from,
                      .longest = to - from};
    if (extend(s)) return;
    last_[port] = static_cast<std::uint32_t>(spans_.size());
    spans_.push_back(s);
    if (spans_.size() <= most_) return;
    const std::int64_t whole = to - spans_.front().from;
    while (spans_.size() > most_ / 2 && gap_ <= whole) join();
    if (spans_.size() > most_ / 2) keep_longest();
}

void PauseLog::join() {
    gap_ = std::max(kFirstGap, 2 * gap_);
    std::fill(last_.begin(), last_.end(), kNowhere);
    std::vector<PauseSpan> old;
    old.swap(spans_);
    for (const PauseSpan& s : old) {
        if (extend(s)) continue;
        last_[s.port] = static_cast<std::uint32_t>(spans_.size());
        spans_.push_back(s);
    }
}

void PauseLog::keep_longest() {
    std::vector<std::uint32_t> order(spans_.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::tie(spans_[b].paused, a) < std::tie(spans_[a].paused, b);
    });
    left_out_ += order.size() - most_ / 2;
    order.resize(most_ / 2);
    std::sort(order.begin(), order.end());
    std::vector<PauseSpan> kept;
    std::fill(last_.begin(), last_.end(), kNowhere);
    for (const std::uint32_t i : order) {
        last_[spans_[i].port] = static_cast<std::uint32_t>(kept.size());
        kept.push_back(spans_[i]);
    }
    spans_ = std::move(kept);
}

}  // namespace weft::packet
