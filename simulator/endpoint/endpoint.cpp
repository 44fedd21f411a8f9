#include "simulator/endpoint/endpoint.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "simulator/endpoint/detailed.hpp"

namespace weft {
namespace {

constexpr Int128 kPsPerSecond = 1'000'000'000'000;
// Of a member: chunks of 128 KiB (facts E1) on 16 channels (NCCL's logs of Hopper).
constexpr std::int64_t kInNetworkChunk = 16 * 128 * 1024;

/// Where the scale-up switch reduces.
struct InNetworkCosts {
    SimDuration launch;
    std::int64_t fill_per_mille;
};

/// One protocol of the tuning model with a machine's figures.
struct ProtocolCosts {
    const char* name;
    WireProtocol id;
    SimDuration launch;
    flow::StepCosts steps;
    std::int64_t overhead_per_mille;
    /// The most bus bandwidth of a group on one host, two, and more; 0: what the links carry.
    std::array<std::int64_t, 3> most_bytes_per_s;
    flow::StepCosts messages;  // each message of a direct exchange
    InNetworkCosts in_network;
};

// LL sends 4 B of flag per 4 B of data; LL128 8 B per 120 (tuning.cc reckons with .92 of the rate
// for 120/128 = .9375).
std::array<ProtocolCosts, 3> protocols_of(const MachineProfile& m) {
    const std::int64_t channel = 8 * m[Cost::kTreeChannel];
    const flow::StepCosts messages{m.time(Cost::kMessageScaleUp), m.time(Cost::kMessageNetwork)};
    const InNetworkCosts in_network{m.time(Cost::kLaunchInNetwork), m[Cost::kInNetworkFill]};
    return {{
        {"LL",
         WireProtocol::kLl,
         m.time(Cost::kLaunchLl),
         {m.time(Cost::kScaleUpStepLl), m.time(Cost::kNetworkStepLl), channel},
         2000,
         {m[Cost::kLlMostOneHost], m[Cost::kLlMostTwoHosts], m[Cost::kLlMostMoreHosts]},
         messages,
         in_network},
        {"LL128",
         WireProtocol::kLl128,
         m.time(Cost::kLaunchLl128),
         {m.time(Cost::kScaleUpStepLl128), m.time(Cost::kNetworkStepLl128), channel},
         1067,
         {},
         messages,
         in_network},
        {"Simple",
         WireProtocol::kSimple,
         m.time(Cost::kLaunchSimple),
         {m.time(Cost::kScaleUpStepSimple), m.time(Cost::kNetworkStepSimple), channel},
         1000,
         {},
         messages,
         in_network},
    }};
}

constexpr ProtocolCosts kIdeal{"ideal", WireProtocol::kSimple, {}, {}, 1000, {}, {}, {}};

/// Bytes that each rank sends, as bus bandwidth counts them (facts E3).
Int128 bus_bytes(Collective kind, Bytes size, std::size_t ranks) {
    const Int128 n = ranks;
    switch (kind) {
        case Collective::kAllReduce:
            return 2 * (n - 1) * size.count() / n;
        case Collective::kAllGather:
        case Collective::kReduceScatter:
        case Collective::kAllToAll:
        case Collective::kGather:
        case Collective::kScatter:
            return (n - 1) * size.count() / n;
        default:
            return size.count();
    }
}

SimDuration duration(Int128 ps) {
    return SimDuration{static_cast<std::int64_t>(ps)};
}

/// Wire bytes per payload byte.
std::int64_t overhead_of(const ProtocolCosts& p, const flow::Traffic& t, const MachineProfile& m) {
    if (t.plan().collective != Collective::kAllToAll) return p.overhead_per_mille;
    return (p.overhead_per_mille * 1000 + m[Cost::kDirectRate] - 1) / m[Cost::kDirectRate];
}

/// Time of bytes that have the fabric to themselves.
Int128 flow_ps(const flow::Traffic& t, std::size_t lane_epoch, Int128 bytes,
               std::int64_t overhead_per_mille) {
    return Int128{t.epochs()[lane_epoch].flow_ps_per_gib} * bytes * overhead_per_mille /
           ((Int128{1} << 30) * 1000);
}

EndpointPrice price_of(const ProtocolCosts& p, std::int64_t overhead_per_mille,
                       const flow::Traffic& t, Bytes size, std::size_t lane_epoch) {
    const flow::Traffic::Margin m = t.margin(size, lane_epoch, p.steps, overhead_per_mille);
    const auto flow_of = [&](Int128 bytes) {
        return flow_ps(t, lane_epoch, bytes, overhead_per_mille);
    };
    const flow::EpochTraffic& e0 = t.epochs()[lane_epoch];
    const bool switched = e0.switched_cells > 0;
    const SimDuration launch = switched ? p.in_network.launch : p.launch;
    const SimDuration messages = switched ? SimDuration{}
                                          : p.messages.scale_up * e0.messages_scale_up +
                                                p.messages.network * e0.messages_network;
    // The first chunk of every channel and member passes every phase before the last one starts.
    const Int128 first =
        std::min<Int128>(size.count(), Int128{kInNetworkChunk} * t.members().size() /
                                           std::max<std::size_t>(t.hosts(), 1));
    const Int128 pass = first * std::max(e0.phases_ps_per_gib, e0.flow_ps_per_gib) /
                        std::max<std::int64_t>(e0.flow_ps_per_gib, 1);
    const Int128 begin = switched ? flow_of(pass) * p.in_network.fill_per_mille / 1000 : 0;
    EndpointPrice e{.protocol = p.name,
                    .overhead_per_mille = overhead_per_mille,
                    .launch = launch,
                    .steps = p.steps,
                    .entry = launch + messages,
                    .before = launch + m.before + messages,
                    .least = {},
                    .after = m.after + duration(begin),
                    .total = {}};
    const Int128 flow = flow_of(size.count());
    if (const std::int64_t most = p.most_bytes_per_s[std::min<std::size_t>(t.hosts(), 3) - 1]) {
        const Int128 held =
            bus_bytes(t.plan().collective, size, t.members().size()) * kPsPerSecond / most;
        e.least = duration(held);
        const Int128 bytes = flow + e.after.ps();
        if (held > bytes) e.after += duration(held - bytes);
    }
    e.total = e.before + duration(flow) + e.after;
    return e;
}

/// The time with the remainder of what was measured: launch, steps and bytes all take so much
/// longer or shorter, so that it holds beside other traffic too. Never less than the wire's
/// latencies and the bytes on links at their nominal rate.
void apply_remainder(EndpointPrice& e, const Scenario& s, const flow::Traffic& t, Bytes size,
                     std::size_t lane_epoch) {
    const Remainder* r = remainder_of(s, t);
    if (r == nullptr) return;
    e.remainder_per_mille = remainder_at(r->rows, size);
    if (e.remainder_per_mille == 1000) return;
    // Links run at this part of their rate: fewer bits per byte than this would be faster.
    const std::int64_t nominal = std::max(s.machine[Cost::kScaleUpRate], s.machine[Cost::kNicRate]);
    const SimDuration least = price_of(kIdeal, nominal, t, size, lane_epoch).total;
    const Int128 wanted = Int128{e.total.ps()} * e.remainder_per_mille / 1000;
    e.at_wire = wanted < least.ps();
    const Int128 named = std::max<Int128>(e.total.ps(), 1);
    const Int128 total = e.at_wire ? Int128{least.ps()} : wanted;
    const auto overhead =
        static_cast<std::int64_t>((Int128{e.overhead_per_mille} * total + named / 2) / named);
    e.overhead_per_mille = std::max(overhead, nominal);
    const Int128 flow = flow_ps(t, lane_epoch, size.count(), e.overhead_per_mille);
    const Int128 rest = std::max<Int128>(total - flow, 0);
    const Int128 outside = std::max<Int128>(Int128{e.before.ps()} + e.after.ps(), 1);
    e.before = duration(rest * e.before.ps() / outside);
    e.after = duration(rest) - e.before;
    e.total = duration(rest + flow);
    for (SimDuration* part : {&e.entry, &e.least, &e.steps.scale_up, &e.steps.network})
        *part = duration(Int128{part->ps()} * total / named);
}

std::string percent(std::int64_t per_mille) {
    return per_mille % 10 == 0 ? fmt::format("{} %", per_mille / 10)
                               : fmt::format("{}.{} %", per_mille / 10, per_mille % 10);
}

}  // namespace

EndpointPrice endpoint_price(const Scenario& s, const flow::Traffic& traffic, Bytes size,
                             std::size_t lane_epoch, std::optional<WireProtocol> forced) {
    if (s.endpoint == EndpointModel::kIdeal)
        return price_of(kIdeal, kIdeal.overhead_per_mille, traffic, size, lane_epoch);
    if (s.endpoint == EndpointModel::kDetailed)
        return price_detailed(s, traffic, size, lane_epoch, forced);
    // Switches reduce what comes by Simple.
    if (traffic.epochs()[lane_epoch].switched_cells > 0) forced = WireProtocol::kSimple;
    EndpointPrice best;
    bool found = false;
    for (const ProtocolCosts& p : protocols_of(s.machine)) {
        if (forced && *forced != p.id) continue;
        const EndpointPrice one =
            price_of(p, overhead_of(p, traffic, s.machine), traffic, size, lane_epoch);
        if (!found || one.total < best.total) best = one;
        found = true;
    }
    apply_remainder(best, s, traffic, size, lane_epoch);
    return best;
}

const Remainder* remainder_of(const Scenario& s, const flow::Traffic& t) {
    if (s.endpoint != EndpointModel::kCalibrated || !t.spread_evenly()) return nullptr;
    for (const Remainder& r : s.machine.remainder)
        if (r.of.collective == t.plan().collective && r.of.hosts == t.hosts() &&
            r.of.ranks == t.members().size() && r.of.library == s.library.name &&
            r.of.algorithm == s.library.algorithm &&
            r.of.nvls == (s.library.nvls && s.library.algorithm.empty()))
            return &r;
    return nullptr;
}

Bandwidth usable_rate(const Scenario& s, LinkKind kind, Bandwidth nominal) {
    if (s.endpoint == EndpointModel::kIdeal || kind == LinkKind::kPcie) return nominal;
    if (s.endpoint == EndpointModel::kDetailed)
        return detailed_rate(s.machine.detailed, kind, nominal);
    const std::int64_t part =
        s.machine[kind == LinkKind::kScaleUp ? Cost::kScaleUpRate : Cost::kNicRate];
    return Bandwidth{static_cast<std::int64_t>(Int128{nominal.bits_per_second()} * part / 1000)};
}

std::vector<std::string> endpoint_assumptions(const Scenario& s) {
    if (s.endpoint == EndpointModel::kIdeal)
        return {"endpoint ideal: no launch, no cost per step, links carry their nominal rate"};
    if (s.endpoint == EndpointModel::kDetailed) return detailed_assumptions(s.machine.detailed);
    const MachineProfile& m = s.machine;
    const auto us = [&](Cost c) {
        const std::string text = cost_text(c, m[c]);
        return text.substr(0, text.size() - 2);
    };
    const auto three = [&](Cost a, Cost b, Cost c) {
        return fmt::format("{}/{}/{} us", us(a), us(b), us(c));
    };
    const auto gbps = [&](Cost c) { return m[c] / 1'000'000'000; };
    return {
        fmt::format("endpoint calibrated, machine {}: {}{}", m.name, m.title,
                    m.name == nccl_tuning_profile().name
                        ? "; the default on every fabric, --machine names another"
                        : ""),
        fmt::format(
            "endpoint calibrated: ring's figures for every algorithm: base {}, NVLink step {}, "
            "network step {} for LL/LL128/Simple, bytes x 2/1.067/1, LL at most {}/{}/{} GB/s of "
            "bus bandwidth on 1/2/more hosts; the protocol {}",
            three(Cost::kLaunchLl, Cost::kLaunchLl128, Cost::kLaunchSimple),
            three(Cost::kScaleUpStepLl, Cost::kScaleUpStepLl128, Cost::kScaleUpStepSimple),
            three(Cost::kNetworkStepLl, Cost::kNetworkStepLl128, Cost::kNetworkStepSimple),
            gbps(Cost::kLlMostOneHost), gbps(Cost::kLlMostTwoHosts), gbps(Cost::kLlMostMoreHosts),
            "with the least predicted time"),
        fmt::format(
            "endpoint calibrated: links of NICs and switches carry {}, scale-up links {} of "
            "their nominal rate",
            percent(m[Cost::kNicRate]), percent(m[Cost::kScaleUpRate]))};
}

std::int64_t in_network_per_mille(const Scenario& s) {
    if (s.endpoint == EndpointModel::kIdeal) return 1000;
    const bool detailed = s.endpoint == EndpointModel::kDetailed;
    const std::int64_t all =
        detailed ? s.machine.detailed[Detail::kScaleUpRate] : s.machine[Cost::kScaleUpRate];
    const std::int64_t in_network =
        detailed ? s.machine.detailed[Detail::kInNetworkRate] : s.machine[Cost::kInNetworkRate];
    return (1000 * all + in_network - 1) / in_network;
}

}  // namespace weft
