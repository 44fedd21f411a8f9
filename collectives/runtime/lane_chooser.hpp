#pragma once
// Which lane to a peer the next slice takes: the one that would deliver it first, (outstanding +
// size) / measured rate, among the lanes of the rail and plane that the channel wants. Lanes of at
// least half the best's rate count as equal: one that is given less delivers less, and would be
// given still less. With equal rates this is HPN's least-outstanding rule (HPN24, path selection).
//
// A lane at less than a quarter of its best sibling's rate is slow: what wants it goes elsewhere.
// After 200 ms one slice tries it again, and after twice as long each time that it finds it slow
// (an operation may have to wait for it), up to 1.6 s; one that comes soon is followed by the next
// at once, until the rate is known. When all wanted lanes are dead or slow the others are
// taken. A lane that has refused a slice for want of room is passed over for one of its own kind
// (wanted or not, well or slow), never for a worse one: room comes back sooner. Rates are measured
// between completions while a lane is busy, so that a peer that consumes late slows all its lanes
// alike and none is blamed. One object per peer, for all communicators. Leaves out: time-outs, dead
// lanes' messages.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "collectives/transport/transport.hpp"

namespace weft::live {

class LaneChooser {
  public:
    explicit LaneChooser(std::span<const Lane> lanes);

    /// rail or plane -1: any. nullopt: every lane to the peer is dead, or those that would do are
    /// `full`.
    [[nodiscard]] std::optional<std::uint32_t> choose(std::int32_t rail, std::int32_t plane,
                                                      std::size_t size, Clock::time_point now,
                                                      std::span<const std::uint32_t> full = {});
    void post(std::uint32_t lane, std::size_t size, Clock::time_point now);
    /// The peer has consumed it.
    void complete(std::uint32_t lane, std::size_t size, Clock::time_point now);
    /// It came back from a lane that died.
    void lost(std::uint32_t lane, std::size_t size);
    void kill(std::uint32_t lane);
    void revive(std::uint32_t lane);

    /// Bytes a second; 0 before the first measurement.
    [[nodiscard]] double rate(std::uint32_t lane) const { return state_[lane].rate; }
    [[nodiscard]] bool alive(std::uint32_t lane) const { return state_[lane].alive; }
    [[nodiscard]] bool any_alive() const;
    [[nodiscard]] bool slow(std::uint32_t lane) const;

  private:
    static constexpr Clock::duration kTryAgain = std::chrono::milliseconds(200);
    static constexpr Clock::duration kRarest = std::chrono::milliseconds(1600);
    struct Measured {
        std::size_t bytes = 0;
        Clock::duration time{0};
        [[nodiscard]] bool enough() const;
        [[nodiscard]] double rate() const {
            return static_cast<double>(bytes) / std::chrono::duration<double>(time).count();
        }
    };
    struct State {
        std::size_t outstanding = 0;
        bool alive = true;
        bool warm = false;  // a new connection's first window says how it starts, not what it can
        double rate = 0;
        Clock::time_point since;            // start of the window
        Measured window;                    // delivered while it was busy all the time
        Measured bursts;                    // the shorter ones before
        Clock::time_point tried;            // when a slow lane was last given a slice
        Clock::duration rests = kTryAgain;  // a slow lane, until the next
    };
    void tried(State& s);
    void note_best();

    std::vector<Lane> lanes_;
    std::vector<State> state_;
    double best_ = 0;  // of the rates
};

}  // namespace weft::live
