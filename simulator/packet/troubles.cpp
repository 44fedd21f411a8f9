#include "simulator/packet/troubles.hpp"

#include <algorithm>

namespace weft::packet {

void Troubles::apply(Network& network, SimTime now) {
    std::vector<std::pair<LinkId, LinkTrouble>> in_force = troubles_at(*fabric_, *failures_, now);
    for (const auto& [link, trouble] : laid_) {
        const bool stays = std::any_of(in_force.begin(), in_force.end(),
                                       [l = link](const auto& t) { return t.first == l; });
        if (!stays) network.set_trouble(link, {});
    }
    for (const auto& [link, trouble] : in_force) network.set_trouble(link, trouble);
    laid_ = std::move(in_force);
}

}  // namespace weft::packet
