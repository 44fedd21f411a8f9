#include "flow_control/lb/least_outstanding.hpp"

#include "base/check.hpp"

namespace weft {

LeastOutstanding::LeastOutstanding(const std::vector<std::uint64_t>& weights) {
    for (const std::uint64_t w : weights) {
        WEFT_CHECK(w > 0, "a lane of weight 0");
        lanes_.push_back({.weight = w, .outstanding = {}, .alive = true});
    }
}

std::optional<std::size_t> LeastOutstanding::choose(Bytes size) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        if (!lanes_[i].alive) continue;
        if (!best) {
            best = i;
            continue;
        }
        const Lane& a = lanes_[i];
        const Lane& b = lanes_[*best];
        // a / a.weight < b / b.weight without dividing.
        const Int128 left = Int128{(a.outstanding + size).count()} * b.weight;
        const Int128 right = Int128{(b.outstanding + size).count()} * a.weight;
        if (left < right) best = i;
    }
    return best;
}

void LeastOutstanding::post(std::size_t lane, Bytes size) {
    WEFT_CHECK(lane < lanes_.size() && lanes_[lane].alive, "post on lane {}", lane);
    WEFT_CHECK(size >= Bytes{0}, "{} bytes", size.count());
    lanes_[lane].outstanding += size;
}

void LeastOutstanding::complete(std::size_t lane, Bytes size) {
    WEFT_CHECK(lane < lanes_.size(), "lane {} of {}", lane, lanes_.size());
    if (!lanes_[lane].alive) return;
    WEFT_CHECK(size >= Bytes{0} && size <= lanes_[lane].outstanding,
               "lane {} completes {} of {} bytes", lane, size.count(),
               lanes_[lane].outstanding.count());
    lanes_[lane].outstanding -= size;
}

Bytes LeastOutstanding::kill(std::size_t lane) {
    WEFT_CHECK(lane < lanes_.size(), "lane {} of {}", lane, lanes_.size());
    const Bytes held = lanes_[lane].outstanding;
    lanes_[lane].alive = false;
    lanes_[lane].outstanding = Bytes{0};
    return held;
}

void LeastOutstanding::revive(std::size_t lane) {
    WEFT_CHECK(lane < lanes_.size() && !lanes_[lane].alive, "lane {} is not dead", lane);
    lanes_[lane].alive = true;
}

}  // namespace weft
