#include "collectives/runtime/lane_chooser.hpp"

#include <algorithm>

namespace weft::live {

namespace {

using namespace std::chrono_literals;

constexpr double kSlow = 0.25;          // of the best lane's rate
constexpr double kAlike = 0.5;          // from here on a lane counts as good as the best
constexpr auto kSoon = 2ms;             // for a lone slice, beside its bytes
constexpr auto kShortestWindow = 20ms;  // of a measurement: completions come in bunches
constexpr std::size_t kFewestBytes = 256 * 1024;

bool fits(const Lane& lane, std::int32_t rail, std::int32_t plane) {
    return (rail < 0 || lane.rail == rail) && (plane < 0 || lane.plane == plane);
}

}  // namespace

bool LaneChooser::Measured::enough() const {
    return time >= kShortestWindow && bytes >= kFewestBytes;
}

LaneChooser::LaneChooser(std::span<const Lane> lanes)
    : lanes_(lanes.begin(), lanes.end()), state_(lanes.size()) {}

bool LaneChooser::any_alive() const {
    return std::any_of(state_.begin(), state_.end(), [](const State& s) { return s.alive; });
}

bool LaneChooser::slow(std::uint32_t lane) const {
    const State& s = state_[lane];
    return s.rate > 0 && s.rate < kSlow * best_;
}

std::optional<std::uint32_t> LaneChooser::choose(std::int32_t rail, std::int32_t plane,
                                                 std::size_t size, Clock::time_point now,
                                                 std::span<const std::uint32_t> full) {
    const auto is_full = [&](std::uint32_t lane) {
        return std::find(full.begin(), full.end(), lane) != full.end();
    };
    if (lanes_.size() == 1)
        return state_[0].alive && full.empty() ? std::optional(0U) : std::nullopt;
    // In order of preference: wanted and well, well, wanted, any that lives.
    std::optional<std::uint32_t> best;
    int best_class = 4;
    double best_time = 0;
    for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
        const State& s = state_[i];
        if (!s.alive) continue;
        const bool well = !slow(i) || (s.outstanding == 0 && now - s.tried >= s.rests);
        const int kind = (well ? 0 : 2) + (fits(lanes_[i], rail, plane) ? 0 : 1);
        if (kind > best_class) continue;
        if (kind < best_class) best.reset();
        best_class = kind;
        if (is_full(i)) continue;
        const bool alike = s.rate <= 0 || s.rate >= kAlike * best_;
        const double rate = alike ? std::max(best_, 1.0) : s.rate;
        const double time = static_cast<double>(s.outstanding + size) / rate;
        if (best && time >= best_time) continue;
        best = i;
        best_time = time;
    }
    return best;
}

void LaneChooser::post(std::uint32_t lane, std::size_t size, Clock::time_point now) {
    State& s = state_[lane];
    if (s.outstanding == 0) {
        s.since = now;
        s.window = {};
    }
    s.outstanding += size;
    s.tried = now;
}

void LaneChooser::complete(std::uint32_t lane, std::size_t size, Clock::time_point now) {
    State& s = state_[lane];
    s.outstanding -= std::min(size, s.outstanding);
    s.window.bytes += size;
    s.window.time = now - s.since;
    if (s.window.enough()) {
        const double sample = s.window.rate();
        if (s.warm) s.rate = s.rate > 0 ? 0.5 * (s.rate + sample) : sample;
        s.warm = true;
        s.since = now;
        s.window = s.bursts = {};
        s.rests = kTryAgain;
        return note_best();
    }
    if (s.outstanding > 0) return;
    if (slow(lane)) tried(s);
    s.bursts.bytes += s.window.bytes;
    s.bursts.time += s.window.time;
    if (!s.bursts.enough()) return;
    s.rate = std::max(s.rate, s.bursts.rate());
    s.bursts = {};
    note_best();
}

void LaneChooser::tried(State& s) {
    const std::chrono::duration<double> well(static_cast<double>(s.window.bytes) / (kSlow * best_));
    s.rests = s.window.time <= well + kSoon ? Clock::duration{0}
                                            : std::clamp(2 * s.rests, kTryAgain, kRarest);
}

void LaneChooser::lost(std::uint32_t lane, std::size_t size) {
    State& s = state_[lane];
    s.outstanding -= std::min(size, s.outstanding);
}

void LaneChooser::kill(std::uint32_t lane) {
    state_[lane].alive = false;
    note_best();
}

void LaneChooser::revive(std::uint32_t lane) {
    // What it was worth before says nothing about what it is worth now.
    state_[lane] = {};
    note_best();
}

void LaneChooser::note_best() {
    best_ = 0;
    for (const State& s : state_)
        if (s.alive) best_ = std::max(best_, s.rate);
}

}  // namespace weft::live
