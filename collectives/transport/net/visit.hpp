#pragma once
// What a tool does to see ranks: finds their doors among this network namespace's sockets, knocks
// at all of them at the same time, and reads what they say. A rank whose process is stopped lets
// its caller wait: that is an answer too. Leaves out: conclusions (tools/doctor).
#include <string>
#include <string_view>
#include <vector>

#include "collectives/transport/net/report_door.hpp"

namespace weft::live::net {

/// The doors in a table of the form of /proc/net/unix; each once, by job and rank.
[[nodiscard]] std::vector<DoorName> doors_in(std::string_view table);
/// The doors of this network namespace, of all users.
[[nodiscard]] std::vector<DoorName> find_doors();

struct Visit {
    DoorName door;
    std::int32_t process = 0;  // as seen from here; 0 where it is not visible
    bool refused = false;      // another user's
    std::optional<RankReport> report;
    std::string why;  // no report
};
/// In the order of `doors`. Believes only sockets of this user, or, for root, of any.
[[nodiscard]] std::vector<Visit> visit(const std::vector<DoorName>& doors,
                                       Clock::time_point deadline);

}  // namespace weft::live::net
