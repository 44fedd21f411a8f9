#include "collectives/transport/net/census.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tuple>

#include "base/check.hpp"

namespace weft::live::net {

namespace {

constexpr int kAwakePeriods = 4;  // without a word of anybody who waits

std::tuple<std::uint64_t, std::uint64_t, std::uint64_t> age(const CensusWord& w) {
    return {w.ballot, w.accepted, w.decided};
}

std::string rank_names(const std::vector<std::uint32_t>& ranks) {
    return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", fmt::join(ranks, ", "));
}

}  // namespace

Census::Census(std::uint32_t self, std::vector<std::uint32_t> members, Clock::duration period)
    : period_(period) {
    for (const std::uint32_t m : members) {
        WEFT_CHECK(members_.empty() || members_.back().rank < m, "members out of order");
        members_.emplace_back();
        members_.back().rank = m;
    }
    const auto at = place(self);
    WEFT_CHECK(at.has_value(), "rank {} is no member", self);
    self_ = *at;
}

std::optional<std::size_t> Census::place(std::uint32_t rank) const {
    const auto at = std::lower_bound(members_.begin(), members_.end(), rank,
                                     [](const Member& m, std::uint32_t r) { return m.rank < r; });
    if (at == members_.end() || at->rank != rank) return std::nullopt;
    return static_cast<std::size_t>(at - members_.begin());
}

bool Census::is_dead(std::uint32_t rank) const {
    const auto at = place(rank);
    return at && members_[*at].dead;
}

bool Census::silent(const Member& m, Clock::time_point now) const {
    if (&m == &members_[self_]) return false;
    return now - std::max(m.heard, since_) > suspicion_;
}

bool Census::all_living(const Set& in) const {
    for (std::size_t i = 0; i < members_.size(); ++i)
        if (!in[i] && !members_[i].dead) return false;
    return true;
}

bool Census::quorum(const Set& in) const {
    const auto count = static_cast<std::size_t>(std::count(in.begin(), in.end(), true));
    return 2 * count > members_.size() || (2 * count == members_.size() && in[0]) || all_living(in);
}

void Census::join(Clock::time_point now, Clock::duration suspicion) {
    present_ = true;
    engaged_ = true;
    suspicion_ = suspicion;
    since_ = ticked_ = last_asked_ = now;
    // The lowest speaks at once, and all answer it: the others have nothing to say before.
    spoke_ = now;
    advance(now);
}

void Census::mark_dead(std::size_t at) {
    if (members_[at].dead) return;
    members_[at].dead = true;
    ++deaths_;
}

void Census::dead(std::uint32_t rank, Clock::time_point now) {
    const auto at = place(rank);
    if (!at) return;
    mark_dead(*at);
    advance(now);
}

void Census::adopt(std::uint64_t ballot, const Ranges& list) {
    accepted_ = ballot;
    for (Member& m : members_) m.listed = contains(list, m.rank);
}

void Census::hear(std::uint32_t from, const CensusWord& word, Clock::time_point now) {
    const auto at = place(from);
    if (!at || *at == self_ || members_[*at].dead) return;
    Member& sender = members_[*at];
    sender.heard = now;
    if (word.present && word.decided == 0) {
        // After a quiet time nobody's silence has counted yet.
        if (!asking() && now - last_asked_ > kAwakePeriods * period_) since_ = ticked_ = now;
        last_asked_ = now;
        asked_ = true;
    }
    for (std::size_t i = 0; i < members_.size(); ++i)
        if (contains(word.dead, members_[i].rank)) mark_dead(i);
    if (age(word) >= age(sender.word)) sender.word = word;
    seen_ = std::max(seen_, word.ballot);
    if (!engaged_) return;
    if (word.decided >= promised_ && word.decided > decided_) {
        adopt(word.decided, word.list);
        decided_ = promised_ = word.decided;
    }
    if (word.ballot > promised_ && !is_dead(coordinator_of(word.ballot))) {
        promised_ = word.ballot;
        changed_ = true;
    }
    if (word.accepted == promised_ && accepted_ < promised_ &&
        !is_dead(coordinator_of(word.accepted))) {
        adopt(word.accepted, word.list);
        changed_ = true;
    }
    advance(now);
}

void Census::begin_ballot() {
    seen_ = promised_ = ballot_of(round_of(std::max(promised_, seen_)) + 1, members_[self_].rank);
    deaths_at_ballot_ = deaths_;
    changed_ = true;
}

void Census::advance(Clock::time_point now) {
    if (!engaged_ || members_[self_].dead || !awake(now)) return;
    const std::uint32_t me = members_[self_].rank;
    if (promised_ == 0 || coordinator_of(promised_) != me) {
        const auto leader = place(coordinator_of(promised_));
        const bool led =
            promised_ != 0 && leader && !members_[*leader].dead && !silent(members_[*leader], now);
        if (led) return;
        const auto first = std::find_if(members_.begin(), members_.end(), [&](const Member& m) {
            return !m.dead && !silent(m, now);
        });
        if (first->rank != me) return;
        begin_ballot();
    } else if (decided_ == promised_) {
        return;
    }
    // Those that follow the ballot of a dead coordinator do not come down from it.
    const bool overtaken = seen_ > promised_ && is_dead(coordinator_of(seen_));
    if (overtaken || deaths_ != deaths_at_ballot_) begin_ballot();
    if (accepted_ < promised_) propose(now);
    if (accepted_ == promised_) conclude(now);
}

void Census::propose(Clock::time_point now) {
    Set in(members_.size());
    const CensusWord* bound = nullptr;  // who has decided, else who has accepted last
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Member& m = members_[i];
        in[i] = !m.dead && (i == self_ || m.word.ballot == promised_);
        if (!in[i] && !m.dead && !silent(m, now)) return;
    }
    if (!quorum(in)) return;
    const bool free = all_living(in);
    CensusWord mine;
    mine.accepted = accepted_;
    mine.decided = decided_;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const CensusWord& w = i == self_ ? mine : members_[i].word;
        if (!in[i] || w.accepted == 0 || (free && w.decided == 0)) continue;
        const auto weight = [](const CensusWord& x) {
            return std::pair(x.decided != 0, x.accepted);
        };
        if (bound == nullptr || weight(w) > weight(*bound)) bound = &w;
    }
    if (bound == nullptr)
        for (std::size_t i = 0; i < members_.size(); ++i) members_[i].listed = in[i];
    else if (bound != &mine)
        for (Member& m : members_) m.listed = contains(bound->list, m.rank);
    accepted_ = promised_;
    changed_ = true;
}

void Census::conclude(Clock::time_point now) {
    Set in(members_.size());
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Member& m = members_[i];
        in[i] = !m.dead && (i == self_ || m.word.accepted == promised_);
        const bool promised = !m.dead && m.word.ballot == promised_;
        if (!in[i] && promised && !silent(m, now)) return;
    }
    if (!quorum(in)) return;
    decided_ = promised_;
    changed_ = true;
}

bool Census::awake(Clock::time_point now) const {
    return asking() || asked_ || now - last_asked_ <= kAwakePeriods * period_;
}

void Census::tick(Clock::time_point now) {
    // Time in which this rank itself did not run is nobody's silence.
    const auto pause = now - ticked_ - period_ / 2;
    if (pause > period_) {
        since_ = std::min(now, since_ + pause);
        last_asked_ = std::min(now, last_asked_ + pause);
        for (Member& m : members_) m.heard = std::min(now, m.heard + pause);
    }
    ticked_ = now;
    advance(now);
}

std::optional<CensusWord> Census::speak(Clock::time_point now) {
    const bool due = (asking() || asked_) && now - spoke_ >= period_;
    if (!changed_ && !due) return std::nullopt;
    changed_ = asked_ = false;
    spoke_ = now;
    CensusWord w;
    w.present = present_;
    w.ballot = promised_;
    w.accepted = accepted_;
    w.decided = decided_;
    std::vector<std::uint32_t> all, gone, listed;
    for (const Member& m : members_) {
        all.push_back(m.rank);
        if (m.dead) gone.push_back(m.rank);
        if (accepted_ != 0 && m.listed) listed.push_back(m.rank);
    }
    w.members = ranges_of(all);
    w.dead = ranges_of(gone);
    w.list = ranges_of(listed);
    return w;
}

bool Census::counted_out() const {
    return decided_ != 0 ? !members_[self_].listed : members_[self_].dead;
}

std::vector<std::uint32_t> Census::survivors() const {
    std::vector<std::uint32_t> out;
    for (const Member& m : members_)
        if (m.listed) out.push_back(m.rank);
    return out;
}

std::vector<std::uint32_t> Census::left_out() const {
    std::vector<std::uint32_t> out;
    for (const Member& m : members_)
        if (!m.listed && !m.dead) out.push_back(m.rank);
    return out;
}

std::string Census::waits_for(Clock::time_point now) const {
    std::vector<std::uint32_t> quiet, elsewhere;
    Set in(members_.size());
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const Member& m = members_[i];
        const bool here = i == self_ || m.word.ballot != 0 || m.word.present;
        in[i] = !m.dead && !silent(m, now);
        if (m.dead) continue;
        if (!in[i])
            quiet.push_back(m.rank);
        else if (!here)
            elsewhere.push_back(m.rank);
    }
    std::string text;
    if (!quiet.empty())
        text += rank_names(quiet) + (quiet.size() == 1 ? " is" : " are") + " silent";
    if (!quorum(in))
        text += fmt::format(
            "; the {} of {} ranks that are heard are no majority, and the others may go on",
            std::count(in.begin(), in.end(), true), members_.size());
    if (!elsewhere.empty())
        text += (text.empty() ? "" : "; ") + rank_names(elsewhere) +
                (elsewhere.size() == 1 ? " has" : " have") + " not called shrink";
    return text.empty() ? "no answer in time" : text;
}

}  // namespace weft::live::net
