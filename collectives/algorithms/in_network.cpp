#include "collectives/algorithms/in_network.hpp"

#include <utility>

namespace weft::algorithms {

PlanTemplate in_network(PlanTemplate p) {
    for (Channel& c : p.channels) {
        std::erase_if(c.stages, [](const Stage& s) { return s.cells.size == 1; });
        for (Stage& s : c.stages) {
            s.in_network = std::holds_alternative<Direct>(s.pattern);
            if (s.in_network) p.deterministic = false;
        }
    }
    return p;
}

}  // namespace weft::algorithms
