#pragma once
// Census: the members of a group that are left agree on who they are. One per group and count, a
// pure state machine: words, deaths and the clock in, words out. Silence is an opinion, death a
// fact.
//
// Each member that takes part tells the others its whole state, a word, when it changes and again
// while somebody is still waiting: words may be lost, late, or come twice. Ballots as in Paxos
// (Lamport, "Paxos made simple", 2001), numbered (round, coordinator); the lowest rank that is
// neither dead nor silent coordinates, and is followed until it is one of these. It waits for all
// that are not silent, proposes those that have promised, and has decided when they have accepted.
// Quorum. More than half of the members (half with the lowest rank), or all that are not dead.
// Hence two parts of a cut network never both go on, and any number may die. What makes the second
// kind safe: the dead of a ballot are those known when it began and travel with it (another death
// begins another ballot); a dead member's words count for nothing; where all others are dead and
// nobody has decided, what was accepted before binds nobody.
// Left out: a member that is silent longer than `suspicion` while others count is not in the list;
// telling it so, and keeping it out for good, is the caller's part (net_control.cpp).
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/net/rumour.hpp"

namespace weft::live::net {

class Census {
  public:
    /// `members` in rising order, `self` among them. `period`: between two words of one member.
    Census(std::uint32_t self, std::vector<std::uint32_t> members, Clock::duration period);

    /// This rank takes part from now on, and somebody here waits for the end.
    void join(Clock::time_point now, Clock::duration suspicion);
    /// Nobody waits here any more. What was promised stays promised.
    void leave() { present_ = false; }
    /// A member is dead, has left, or was counted out; for this rank itself: it was.
    void dead(std::uint32_t rank, Clock::time_point now);
    void hear(std::uint32_t from, const CensusWord& word, Clock::time_point now);
    /// Every half period while awake().
    void tick(Clock::time_point now);
    /// What the others are to be told now.
    [[nodiscard]] std::optional<CensusWord> speak(Clock::time_point now);
    /// Somebody waits, here or elsewhere.
    [[nodiscard]] bool awake(Clock::time_point now) const;

    [[nodiscard]] bool decided() const { return decided_ != 0; }
    /// Others go on without this rank.
    [[nodiscard]] bool counted_out() const;
    /// Who is left; when decided.
    [[nodiscard]] std::vector<std::uint32_t> survivors() const;
    /// Members that the decision leaves out and that are not known to be dead.
    [[nodiscard]] std::vector<std::uint32_t> left_out() const;
    /// In words, what it waits for.
    [[nodiscard]] std::string waits_for(Clock::time_point now) const;

  private:
    struct Member {
        std::uint32_t rank = 0;
        bool dead = false;
        bool listed = false;  // in the list of `accepted_`
        Clock::time_point heard;
        CensusWord word;  // the latest
    };
    using Set = std::vector<bool>;  // by place among the members

    [[nodiscard]] std::optional<std::size_t> place(std::uint32_t rank) const;
    [[nodiscard]] bool is_dead(std::uint32_t rank) const;
    [[nodiscard]] bool silent(const Member& m, Clock::time_point now) const;
    [[nodiscard]] bool asking() const { return present_ && decided_ == 0; }
    [[nodiscard]] bool quorum(const Set& in) const;
    [[nodiscard]] bool all_living(const Set& in) const;
    void mark_dead(std::size_t at);
    void adopt(std::uint64_t ballot, const Ranges& list);
    void advance(Clock::time_point now);
    void begin_ballot();
    void propose(Clock::time_point now);
    void conclude(Clock::time_point now);

    std::vector<Member> members_;
    std::size_t self_ = 0;
    Clock::duration period_;
    Clock::duration suspicion_{};
    bool engaged_ = false;  // has joined once
    bool present_ = false;
    std::uint64_t promised_ = 0;
    std::uint64_t seen_ = 0;  // the highest ballot of anybody
    std::uint64_t accepted_ = 0;
    std::uint64_t decided_ = 0;
    std::size_t deaths_ = 0;
    std::size_t deaths_at_ballot_ = 0;
    bool changed_ = false;  // since it last spoke
    bool asked_ = false;    // by somebody who waits, since it last spoke
    Clock::time_point spoke_;
    Clock::time_point last_asked_;
    Clock::time_point since_;  // silence counts from here
    Clock::time_point ticked_;
};

/// (round, coordinator) as one number.
[[nodiscard]] constexpr std::uint64_t ballot_of(std::uint32_t round, std::uint32_t coordinator) {
    return (std::uint64_t{round} << 32) | coordinator;
}
[[nodiscard]] constexpr std::uint32_t round_of(std::uint64_t ballot) {
    return static_cast<std::uint32_t>(ballot >> 32);
}
[[nodiscard]] constexpr std::uint32_t coordinator_of(std::uint64_t ballot) {
    return static_cast<std::uint32_t>(ballot);
}

}  // namespace weft::live::net
