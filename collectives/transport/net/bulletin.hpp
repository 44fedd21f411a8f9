#pragma once
// What this rank knows of the others: alarms, who is gone, and the answers to inquiries. For any
// thread; one lock. Sends nothing.
//
// Answers belong to a round: the last time that somebody asked about the operation. A member whose
// answer is older than the round has begun meanwhile.
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "collectives/transport/net/rumour.hpp"

namespace weft::live::net {

class Bulletin {
  public:
    /// `answering`: time for the answers of a round to come in; until then those of the last hold.
    /// On a busy machine it is some tenths of a second until a process has had its turn.
    explicit Bulletin(Clock::duration answering = std::chrono::milliseconds(500))
        : answering_(answering) {}
    /// False if it is known already: the first of each rank and communicator counts, and the first
    /// news of a rank's end.
    bool record(const Alarm& alarm);
    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_acquire); }
    [[nodiscard]] std::optional<Alarm> alarm(ContextId context,
                                             std::span<const std::uint32_t> members) const;
    [[nodiscard]] std::vector<Alarm> all() const;
    /// False if it is known already. A rank that has left cannot be lost any more.
    bool record(std::uint32_t rank, const Farewell& farewell);
    [[nodiscard]] std::map<std::uint32_t, Farewell> farewells() const;
    [[nodiscard]] bool gone(std::uint32_t rank) const;  // lost or left

    /// A round begins: this rank asks, or another has asked. False if the last is more recent than
    /// `pause`: no need to ask again.
    bool ask(const Inquiry& inquiry, Clock::time_point now, Clock::duration pause);
    /// Whether ask() would say yes.
    [[nodiscard]] bool due(const Inquiry& inquiry, Clock::time_point now,
                           Clock::duration pause) const;
    void answer(std::uint32_t origin, const Answer& answer, Clock::time_point now);
    /// What is known of one member; nothing if it is not absent as far as that goes.
    [[nodiscard]] std::optional<Absent> absent(const Inquiry& inquiry, std::uint32_t rank,
                                               Clock::time_point now) const;

  private:
    [[nodiscard]] std::optional<Absent> ended(const Inquiry& inquiry, std::uint32_t rank,
                                              Clock::time_point now) const;
    struct Round {
        Clock::time_point newest;
        Clock::time_point before;
    };
    struct Heard {
        Answer answer;
        Clock::time_point at;
    };
    using Key = std::tuple<ContextId, std::uint64_t, std::uint64_t>;  // operation, members' hash
    using About = std::tuple<ContextId, std::uint64_t, std::uint32_t>;
    void forget_old(Clock::time_point now);

    Clock::duration answering_;
    mutable std::mutex mutex_;
    std::atomic<std::uint64_t> count_{0};
    std::vector<Alarm> alarms_;  // as they came
    struct Left {
        Farewell farewell;
        Clock::time_point at;
    };
    std::map<std::uint32_t, Left> left_;
    std::map<std::uint32_t, Clock::time_point> lost_;
    std::map<Key, Round> rounds_;
    std::map<About, Heard> self_;    // what members say of themselves
    std::map<About, Heard> silent_;  // what their neighbours say of them
};

}  // namespace weft::live::net
