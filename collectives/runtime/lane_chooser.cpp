#include "collectives/runtime/lane_chooser.hpp"

#include <algorithm>

namespace weft::live {

namespace {

using namespace std::chrono_literals;

constexpr double kSlow = 0.25;         // of the best lane's rate
constexpr auto kTryAgain = 200ms;      // a slow lane
constexpr auto kShortestWindow = 2ms;  // of a measurement
constexpr std::size_t kFewestBytes = 256 * 1024;

bool fits(const Lane& lane, std::int32_t rail, std::int32_t plane) {
    return (rail < 0 || lane.rail == rail) && (plane < 0 || lane.plane == plane);
}

}  // namespace

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
                                                 std::size_t size, Clock::time_point now) {
    if (lanes_.size() == 1) return state_[0].alive ? std::optional(0U) : std::nullopt;
    // In order of preference: wanted and well, well, wanted, any that lives.
    std::optional<std::uint32_t> best;
    int best_class = 4;
    double best_time = 0;
    for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
        const State& s = state_[i];
        if (!s.alive) continue;
        const bool well = !slow(i) || (s.outstanding == 0 && now - s.tried >= kTryAgain);
        const int kind = (well ? 0 : 2) + (fits(lanes_[i], rail, plane) ? 0 : 1);
        if (kind > best_class) continue;
        const double rate = s.rate > 0 ? s.rate : std::max(best_, 1.0);
        const double time = static_cast<double>(s.outstanding + size) / rate;
        if (kind == best_class && time >= best_time) continue;
        best = i;
        best_class = kind;
        best_time = time;
    }
    return best;
}

void LaneChooser::post(std::uint32_t lane, std::size_t size, Clock::time_point now) {
    State& s = state_[lane];
    if (s.outstanding == 0) {
        s.since = now;
        s.delivered = 0;
    }
    s.outstanding += size;
    s.tried = now;
}

void LaneChooser::complete(std::uint32_t lane, std::size_t size, Clock::time_point now) {
    State& s = state_[lane];
    s.outstanding -= std::min(size, s.outstanding);
    s.delivered += size;
    const auto window = now - s.since;
    if (window < kShortestWindow || s.delivered < kFewestBytes) return;
    const double sample =
        static_cast<double>(s.delivered) / std::chrono::duration<double>(window).count();
    s.rate = s.rate > 0 ? 0.5 * (s.rate + sample) : sample;
    s.since = now;
    s.delivered = 0;
    note_best();
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
