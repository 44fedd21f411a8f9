#pragma once
// The counts that this rank takes part in, or is asked about: a Census each, moved by the loop.
// Whoever a decision leaves out and is not known to be dead is counted out: everybody is told.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "collectives/transport/net/census.hpp"
#include "collectives/transport/net/loop.hpp"
#include "collectives/transport/net/net_control.hpp"

namespace weft::live::net {

class Counts {
  public:
    struct Calls {
        std::function<void(const CensusWord&)> tell;  // all ranks
        std::function<bool(std::uint32_t)> gone;      // dead, left, or counted out
        std::function<void(ContextId, std::uint32_t rank, const std::string& why)> count_out;
    };
    Counts(Loop& loop, std::uint32_t rank, Clock::duration period, Calls calls)
        : loop_(loop), rank_(rank), period_(period), calls_(std::move(calls)) {}

    /// From any thread but the loop's: takes part until it is over or `until`, and calls
    /// `meanwhile`, which waits for some milliseconds, again and again.
    [[nodiscard]] Survivors run(const Group& group, Clock::time_point until,
                                const std::function<void()>& meanwhile);

    // In the loop:
    void hear(std::uint32_t from, const CensusWord& word);
    void dead(std::uint32_t rank);

  private:
    /// Between the loop and whoever waits.
    struct Tally {
        std::atomic<bool> over{false};
        std::mutex mutex;
        Survivors result;
    };
    struct Count {
        Census census;
        std::shared_ptr<Tally> tally;  // while somebody waits
        std::uint64_t number = 0;
        bool closed = false;  // the decision has been acted on
    };
    using Key = std::tuple<ContextId, std::uint32_t, std::uint64_t>;  // generation, members' hash
    static constexpr std::size_t kMost = 256;

    [[nodiscard]] static Key key_of(ContextId context, std::uint32_t generation, const Ranges& r) {
        return {context, generation, hash_of(r)};
    }
    Count& count(const Key& key, std::vector<std::uint32_t> members);
    void forget_one();
    void settle(const Key& key, Count& count);
    void end(Count& count, bool in_time);
    void turn();

    Loop& loop_;
    std::uint32_t rank_;
    Clock::duration period_;
    Calls calls_;
    std::map<Key, Count> counts_;
    std::uint64_t next_ = 0;
    std::uint64_t timer_ = 0;
};

}  // namespace weft::live::net
