#include "collectives/runtime/lane_chooser.hpp"

namespace weft::live {

namespace {

bool fits(const Lane& lane, std::int32_t rail, std::int32_t plane) {
    return (rail < 0 || lane.rail == rail) && (plane < 0 || lane.plane == plane);
}

std::vector<std::uint32_t> lanes_that(std::span<const Lane> lanes, std::int32_t rail,
                                      std::int32_t plane, bool fit) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 0; i < lanes.size(); ++i)
        if (fits(lanes[i], rail, plane) == fit) out.push_back(i);
    return out;
}

LeastOutstanding equal_lanes(std::size_t count) {
    return LeastOutstanding(std::vector<std::uint64_t>(count, 1));
}

Bytes as_bytes(std::size_t size) {
    return Bytes{static_cast<std::int64_t>(size)};
}

}  // namespace

LaneChooser::LaneChooser(std::span<const Lane> lanes, std::int32_t rail, std::int32_t plane)
    : wanted_{lanes_that(lanes, rail, plane, true), equal_lanes(0)},
      others_{lanes_that(lanes, rail, plane, false), equal_lanes(0)},
      place_(lanes.size()) {
    for (Set* set : {&wanted_, &others_}) {
        set->balance = equal_lanes(set->lanes.size());
        for (std::size_t i = 0; i < set->lanes.size(); ++i)
            place_[set->lanes[i]] = {set == &wanted_, i};
    }
}

std::optional<std::uint32_t> LaneChooser::choose(std::size_t size) const {
    for (const Set* set : {&wanted_, &others_})
        if (const auto index = set->balance.choose(as_bytes(size))) return set->lanes[*index];
    return std::nullopt;
}

void LaneChooser::post(std::uint32_t lane, std::size_t size) {
    const Place& p = place_[lane];
    set_of(p).balance.post(p.index, as_bytes(size));
}

void LaneChooser::complete(std::uint32_t lane, std::size_t size) {
    const Place& p = place_[lane];
    set_of(p).balance.complete(p.index, as_bytes(size));
}

void LaneChooser::kill(std::uint32_t lane) {
    const Place& p = place_[lane];
    (void)set_of(p).balance.kill(p.index);
}

}  // namespace weft::live
