// Fixed rate: paced at a part of the port's rate, whatever comes back. With PFC below it, nothing
// is lost; it is what fixed-rate theory and referees are held against.
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

class FixedRate final : public CongestionControl {
  public:
    FixedRate(Bandwidth wanted, const PathFacts& path) {
        rate_ = std::min(wanted, path.line_rate);
        if (rate_.bits_per_second() == 0) rate_ = path.line_rate;
    }
    void on_ack(const Ack&) override {}
};

}  // namespace

CongestionRegistry::Row fixed_rate_row() {
    return {{"fixed-rate",
             "Paced at one rate, without feedback",
             "none",
             {{"rate", "bit/s", "line", "line, or a rate"}}},
            {{},
             [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
                 return std::make_unique<FixedRate>(p.rate_or("rate", "line", path.line_rate),
                                                    path);
             },
             {.reaction_rtts = 0, .why = "it listens to nothing; PFC holds it"}}};
}

}  // namespace weft
