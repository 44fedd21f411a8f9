#include "collectives/transport/net/counts.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weft::live::net {

namespace {

using std::chrono::milliseconds;

// How long a member may be silent before it is left out: most of a stranger's time slices on a
// busy machine fit in, and what comes after it within the same patience.
Clock::duration suspicion(Clock::duration patience, Clock::duration period) {
    return std::clamp<Clock::duration>(patience * 2 / 5, 3 * period,
                                       std::max<Clock::duration>(milliseconds(3'000), 3 * period));
}

std::vector<std::uint32_t> ranks_of(const Ranges& ranges) {
    std::vector<std::uint32_t> out;
    for (const Range& r : ranges)
        for (std::uint32_t i = 0; i < r.count; ++i) out.push_back(r.first + i);
    return out;
}

}  // namespace

Survivors Counts::run(const Group& group, Clock::time_point until,
                      const std::function<void()>& meanwhile) {
    const Ranges members = ranges_of(group.members);
    const Key key = key_of(group.context, group.generation, members);
    const auto tally = std::make_shared<Tally>();
    const Clock::duration patience = until - Clock::now();
    loop_.post([this, key, members, tally, patience] {
        Count& c = count(key, ranks_of(members));
        c.tally = tally;
        c.census.join(Clock::now(), suspicion(patience, period_));
        settle(key, c);
    });
    while (!tally->over && Clock::now() < until) meanwhile();
    if (!tally->over)
        loop_.post([this, key] {
            const auto found = counts_.find(key);
            if (found != counts_.end()) end(found->second, false);
        });
    // The loop answers at once, but on a busy machine it may have to wait for its turn.
    const auto last = until + milliseconds(500);
    while (!tally->over && Clock::now() < last) meanwhile();
    const std::lock_guard lock(tally->mutex);
    return tally->result;
}

Counts::Count& Counts::count(const Key& key, std::vector<std::uint32_t> members) {
    const auto found = counts_.find(key);
    if (found != counts_.end()) return found->second;
    if (counts_.size() >= kMost) forget_one();
    std::vector<std::uint32_t> all = members;
    Census census(rank_, std::move(members), period_);
    for (const std::uint32_t m : all)
        if (calls_.gone(m)) census.dead(m, Clock::now());
    return counts_.emplace(key, Count{std::move(census), nullptr, next_++, false}).first->second;
}

void Counts::forget_one() {
    auto oldest = counts_.end();
    for (auto c = counts_.begin(); c != counts_.end(); ++c)
        if (!c->second.tally &&
            (oldest == counts_.end() || c->second.number < oldest->second.number))
            oldest = c;
    if (oldest != counts_.end()) counts_.erase(oldest);
}

void Counts::hear(std::uint32_t from, const CensusWord& word) {
    if (!contains(word.members, rank_) || !contains(word.members, from)) return;
    const Key key = key_of(word.context, word.generation, word.members);
    Count& c = count(key, ranks_of(word.members));
    c.census.hear(from, word, Clock::now());
    settle(key, c);
}

void Counts::dead(std::uint32_t rank) {
    for (auto& [key, c] : counts_) {
        c.census.dead(rank, Clock::now());
        settle(key, c);
    }
}

void Counts::settle(const Key& key, Count& c) {
    if (auto word = c.census.speak(Clock::now())) {
        word->context = std::get<0>(key);
        word->generation = std::get<1>(key);
        calls_.tell(*word);
    }
    if (c.tally && (c.census.decided() || c.census.counted_out())) end(c, true);
    if (c.census.decided() && !c.closed) {
        c.closed = true;
        const std::string why =
            fmt::format("it was silent while the others of communicator {} agreed who is left",
                        std::get<0>(key));
        const ContextId context = std::get<0>(key);
        // Later: it is told to all counts, this one among them.
        for (const std::uint32_t rank : c.census.left_out())
            loop_.post([this, context, rank, why] { calls_.count_out(context, rank, why); });
    }
    if (timer_ == 0 && c.census.awake(Clock::now()))
        timer_ = loop_.after(period_ / 2, [this] { turn(); });
}

void Counts::end(Count& c, bool in_time) {
    if (!c.tally) return;
    {
        const std::lock_guard lock(c.tally->mutex);
        Survivors& s = c.tally->result;
        if (c.census.counted_out()) {
            s.state = Survivors::State::kCountedOut;
        } else if (c.census.decided()) {
            s.state = Survivors::State::kAgreed;
            s.ranks = c.census.survivors();
        } else if (!in_time) {
            s.what = c.census.waits_for(Clock::now());
        }
    }
    c.census.leave();
    c.tally->over = true;
    c.tally.reset();
}

void Counts::turn() {
    timer_ = 0;
    for (auto& [key, c] : counts_) {
        const Clock::time_point now = Clock::now();
        if (!c.census.awake(now)) continue;
        c.census.tick(now);
        settle(key, c);
    }
}

}  // namespace weft::live::net
