#include "simulator/endpoint/endpoint.hpp"

#include <array>

namespace weft {
namespace {

// facts E1: base latency of Ring 6.6/14/8.4 us; per hop NVLink .6/1.9/3.4, NET 2.7/4.0/14 us.
// LL sends 4 B of flag per 4 B of data; LL128 8 B per 120.
constexpr std::array<ProtocolCosts, 3> kProtocols{{
    {"LL", ns(6600), ns(600), ns(2700), 2000},
    {"LL128", ns(14000), ns(1900), ns(4000), 1067},
    {"Simple", ns(8400), ns(3400), ns(14000), 1000},
}};

// facts A3 (SimAI): 48.5 of 50 GB/s of a 400G NIC; facts E1: 20.6 of 25 GB/s of an NVLink 4 link
// (8 of them: 164.8 of 200 GB/s on H800).
constexpr std::int64_t kNicPerMille = 970;
constexpr std::int64_t kScaleUpPerMille = 824;

}  // namespace

SimDuration inflated(SimDuration flow, std::int64_t per_mille) {
    return SimDuration{static_cast<std::int64_t>(Int128{flow.ps()} * per_mille / 1000)};
}

EndpointPrice endpoint_price(EndpointModel model, const flow::Fill& fill, SimDuration flow) {
    if (model == EndpointModel::kIdeal) return {};
    EndpointPrice best;
    SimDuration best_total;
    for (const ProtocolCosts& p : kProtocols) {
        const flow::StepCosts steps{p.scale_up_step, p.network_step};
        const SimDuration before = p.base + steps.of(fill);
        const SimDuration total = before + inflated(flow, p.overhead_per_mille);
        if (best.protocol[0] != '\0' && total >= best_total) continue;
        best = {p.name, p.base, steps, p.overhead_per_mille};
        best_total = total;
    }
    return best;
}

Bandwidth usable_rate(EndpointModel model, LinkKind kind, Bandwidth nominal) {
    if (model == EndpointModel::kIdeal || kind == LinkKind::kPcie) return nominal;
    const std::int64_t part = kind == LinkKind::kScaleUp ? kScaleUpPerMille : kNicPerMille;
    return Bandwidth{static_cast<std::int64_t>(Int128{nominal.bits_per_second()} * part / 1000)};
}

std::vector<std::string> endpoint_assumptions(EndpointModel model) {
    if (model == EndpointModel::kIdeal)
        return {"endpoint ideal: no launch, no cost per step, links carry their nominal rate"};
    return {
        "endpoint calibrated: NCCL's ring constants (tuning.cc) for every algorithm: base "
        "6.6/14/8.4 us, NVLink step 0.6/1.9/3.4 us, network step 2.7/4/14 us for "
        "LL/LL128/Simple; the protocol with the least predicted time",
        "endpoint calibrated: links of NICs and switches carry 97 % (48.5 of 50 GB/s), scale-up "
        "links 82.4 % (20.6 of 25 GB/s per NVLink) of their nominal rate"};
}

}  // namespace weft
