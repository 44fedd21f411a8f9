#include "simulator/endpoint/endpoint.hpp"

#include <algorithm>

namespace weft {
namespace {

// facts E1: base latency of Ring 6.6/14/8.4 us; per hop NVLink .6/1.9/3.4, NET 2.7/4.0/14 us.
// LL sends 4 B of flag per 4 B of data, at most llMaxBw; LL128 8 B per 120 (tuning.cc reckons with
// .92 of the rate for 120/128 = .9375).
constexpr std::array<ProtocolCosts, 3> kProtocols{{
    {"LL", ns(6600), {ns(600), ns(2700)}, 2000, {141'000'000'000, 45'000'000'000, 35'000'000'000}},
    {"LL128", ns(14000), {ns(1900), ns(4000)}, 1067, {}},
    {"Simple", ns(8400), {ns(3400), ns(14000)}, 1000, {}},
}};
constexpr ProtocolCosts kIdeal{"ideal", {}, {}, 1000, {}};

// facts A3 (SimAI): 48.5 of 50 GB/s of a 400G NIC; facts E1: 20.6 of 25 GB/s of an NVLink 4 link
// (8 of them: 164.8 of 200 GB/s on H800).
constexpr std::int64_t kNicPerMille = 970;
constexpr std::int64_t kScaleUpPerMille = 824;

/// Bytes that each rank sends, as bus bandwidth counts them (facts E3).
Int128 bus_bytes(Collective kind, Bytes size, std::size_t ranks) {
    const Int128 n = ranks;
    switch (kind) {
        case Collective::kAllReduce:
            return 2 * (n - 1) * size.count() / n;
        case Collective::kAllGather:
        case Collective::kReduceScatter:
        case Collective::kAllToAll:
            return (n - 1) * size.count() / n;
        default:
            return size.count();
    }
}

EndpointPrice price_of(const ProtocolCosts& p, const flow::Traffic& t, Bytes size,
                       std::size_t lane_epoch) {
    constexpr Int128 kPsPerSecond = 1'000'000'000'000;
    const flow::Traffic::Margin m = t.margin(size, lane_epoch, p.steps, p.overhead_per_mille);
    const Int128 flow = Int128{t.epochs()[lane_epoch].flow_ps_per_gib} * size.count() *
                        p.overhead_per_mille / ((Int128{1} << 30) * 1000);
    EndpointPrice e{.protocol = &p, .before = p.base + m.before, .after = m.after, .total = {}};
    if (const std::int64_t most = p.most_bytes_per_s[std::min<std::size_t>(t.hosts(), 3) - 1]) {
        const Int128 held =
            bus_bytes(t.plan().collective, size, t.members().size()) * kPsPerSecond / most;
        const Int128 bytes = flow + e.after.ps();
        if (held > bytes) e.after += SimDuration{static_cast<std::int64_t>(held - bytes)};
    }
    e.total = e.before + SimDuration{static_cast<std::int64_t>(flow)} + e.after;
    return e;
}

}  // namespace

EndpointPrice endpoint_price(EndpointModel model, const flow::Traffic& traffic, Bytes size,
                             std::size_t lane_epoch) {
    if (model == EndpointModel::kIdeal) return price_of(kIdeal, traffic, size, lane_epoch);
    EndpointPrice best;
    for (const ProtocolCosts& p : kProtocols) {
        const EndpointPrice one = price_of(p, traffic, size, lane_epoch);
        if (best.protocol == nullptr || one.total < best.total) best = one;
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
        "LL/LL128/Simple, bytes x 2/1.067/1, LL at most 141/45/35 GB/s of bus bandwidth on "
        "1/2/more "
        "hosts; the protocol with the least predicted time",
        "endpoint calibrated: links of NICs and switches carry 97 % (48.5 of 50 GB/s), scale-up "
        "links 82.4 % (20.6 of 25 GB/s per NVLink) of their nominal rate"};
}

}  // namespace weft
