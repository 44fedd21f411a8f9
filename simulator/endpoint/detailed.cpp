#include "simulator/endpoint/detailed.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weft {
namespace {

constexpr Int128 kGib = Int128{1} << 30;
constexpr Int128 kPsPerSecond = 1'000'000'000'000;
constexpr std::int64_t kElementSize = 4;

SimDuration duration(Int128 ps) {
    return SimDuration{static_cast<std::int64_t>(ps)};
}

/// How bytes are put on a wire: the figures of one row of the protocols.
struct Wire {
    const char* name;
    SimDuration launch;
    SimDuration sync;    // of a step
    SimDuration proxy;   // of a step over NICs, on top
    SimDuration nic;     // likewise
    SimDuration ready;   // until the receiver has told the sender to go, at first
    SimDuration copies;  // into a buffer before all else, and out of one after
    std::int64_t overhead_per_mille = 1000;
    std::int64_t block_bytes_per_s = 0;  // 0: no kernel, so no thread blocks and slots
    std::int64_t buffer = 0;
};

/// One collective under one protocol.
class Pricing {
  public:
    Pricing(const Scenario& s, const flow::Traffic& traffic, Bytes size, std::size_t lane_epoch)
        : d_(s.machine.detailed),
          t_(traffic),
          e_(traffic.epochs()[lane_epoch]),
          size_(size),
          lane_epoch_(lane_epoch),
          cut_(traffic.fewest_loops(size)),
          channels_(static_cast<std::int64_t>(traffic.plan().channels.size())),
          blocks_(s.library.channels > 0 ? channels_ : std::max(channels_, d_[Detail::kBlocks])) {}

    [[nodiscard]] Wire of_kernel(WireProtocol p) const;
    [[nodiscard]] Wire of_message() const;
    [[nodiscard]] EndpointPrice price(const Wire& w, std::vector<EndpointPart>* parts) const;

  private:
    struct Bound {
        const char* name;
        Int128 ps;
    };
    [[nodiscard]] bool over_network() const { return e_.ends.network_units > 0; }
    [[nodiscard]] Int128 of_size(std::int64_t per_gib) const {
        return ceil_div(Int128{per_gib} * size_.count(), kGib);
    }
    [[nodiscard]] Int128 flow(const Wire& w) const {
        return Int128{e_.flow_ps_per_gib} * size_.count() * w.overhead_per_mille / (kGib * 1000);
    }
    [[nodiscard]] SimDuration missed() const;
    [[nodiscard]] Int128 slice_of(const Wire& w) const;
    [[nodiscard]] Int128 messages(const Wire& w) const;
    [[nodiscard]] flow::Traffic::Margin margin(const Wire& w, const flow::StepCosts& steps) const;
    [[nodiscard]] Int128 step_time(SimDuration step) const;
    [[nodiscard]] Int128 slowest_step(const flow::StepCosts& c) const;
    [[nodiscard]] Bound longest_bound(const Wire& w) const;
    void list(const Wire& w, const EndpointPrice& e, const Bound& held, SimDuration excess,
              std::vector<EndpointPart>& parts) const;
    [[nodiscard]] flow::StepCosts steps(const Wire& w, int mechanisms) const;

    const DetailedCosts& d_;
    const flow::Traffic& t_;
    const flow::EpochTraffic& e_;
    Bytes size_;
    std::size_t lane_epoch_;
    Cut cut_;
    std::int64_t channels_;
    std::int64_t blocks_;
};

/// What a message waits for its queue pair, on the average of uniform use.
SimDuration Pricing::missed() const {
    const auto pairs = static_cast<std::int64_t>(e_.ends.queue_pairs);
    const std::int64_t beyond = pairs - d_[Detail::kQueuePairs];
    if (beyond <= 0) return {};
    return duration(Int128{d_[Detail::kQueuePairMiss]} * beyond / pairs);
}

Wire Pricing::of_kernel(WireProtocol p) const {
    const bool switched = e_.switched_cells > 0;
    Wire w{};
    w.name = name_of(p);
    w.launch = d_.time(Detail::kKernelLaunch);
    w.proxy = 2 * d_.time(Detail::kProxyFlag) + d_.time(Detail::kProxyMessage);
    w.nic = d_.time(Detail::kNicLatency) + missed();
    if (over_network())
        w.ready =
            e_.ends.network_latency + d_.time(Detail::kProxyMessage) + d_.time(Detail::kNicLatency);
    switch (p) {  // LL: 4 B of flag with 4 B of data; LL128: 8 with 120 (facts E1)
        case WireProtocol::kLl:
            w.sync = d_.time(Detail::kSyncLl);
            w.overhead_per_mille = 2000;
            w.block_bytes_per_s = d_[Detail::kBlockLl];
            w.buffer = d_[Detail::kBufferLl];
            break;
        case WireProtocol::kLl128:
            w.sync = d_.time(Detail::kSyncLl128);
            w.overhead_per_mille = 1067;
            w.block_bytes_per_s = d_[Detail::kBlockLl128];
            w.buffer = d_[Detail::kBufferLl128];
            break;
        case WireProtocol::kSimple:
            w.sync = d_.time(switched ? Detail::kSyncInNetwork : Detail::kSyncSimple);
            w.nic += d_.time(Detail::kNicFlush);
            w.block_bytes_per_s = d_[Detail::kBlockSimple];
            w.buffer = d_[Detail::kBufferSimple];
            break;
    }
    return w;
}

/// The processor posts; a rendezvous asks and is answered over the same path as the data takes.
Wire Pricing::of_message() const {
    Wire w{};
    w.launch = d_.time(Detail::kCall);
    w.sync = d_.time(Detail::kProxyMessage);
    w.nic = d_.time(Detail::kNicLatency) + missed();
    if (size_.count() <= d_[Detail::kEagerLimit]) {
        w.name = "eager";
        w.copies = duration(ceil_div(Int128{size_.count()} * kPsPerSecond, d_[Detail::kEagerCopy]));
        return w;
    }
    w.name = "rendezvous";
    w.ready = 2 * (e_.fill.latency + w.sync + (over_network() ? w.nic : SimDuration{}));
    return w;
}

/// Bytes of a slice: the Plan's, or what fits into one of the protocol's slots.
Int128 Pricing::slice_of(const Wire& w) const {
    const Int128 planned = Int128{static_cast<std::int64_t>(cut_.slice_elements)} * kElementSize;
    const std::int64_t slots = std::max<std::int64_t>(t_.plan().channels.front().slots, 1);
    return std::min(planned, std::max<Int128>(w.buffer / slots, 1));
}

/// Messages of the GPU that has most, sent and received.
Int128 Pricing::messages(const Wire& w) const {
    const Int128 units = e_.ends.network_units;
    if (w.block_bytes_per_s == 0) return units;
    const Int128 planned = Int128{static_cast<std::int64_t>(cut_.slice_elements)} * kElementSize;
    return units * cut_.loops * cut_.loop_slices * ceil_div(planned, slice_of(w));
}

/// Costs of a step by the first so many of: flags, proxy thread, NIC.
flow::StepCosts Pricing::steps(const Wire& w, int mechanisms) const {
    flow::StepCosts c;
    if (w.block_bytes_per_s > 0)
        c.channel_bits_per_second =
            static_cast<std::int64_t>(Int128{8} * w.block_bytes_per_s * blocks_ / channels_);
    if (mechanisms > 0) c.scale_up = c.network = w.sync;
    if (mechanisms > 1) c.network += w.proxy;
    if (mechanisms > 2) c.network += w.nic;
    return c;
}

/// Of a step, with its part of the paths.
Int128 Pricing::step_time(SimDuration step) const {
    const std::int64_t hops = std::int64_t{e_.fill.scale_up} + e_.fill.network;
    return e_.fill.latency.ps() / std::max<std::int64_t>(hops, 1) + step.ps();
}

Int128 Pricing::slowest_step(const flow::StepCosts& c) const {
    return std::max(e_.fill.scale_up > 0 ? step_time(c.scale_up) : 0,
                    e_.fill.network > 0 ? step_time(c.network) : 0);
}

/// As Traffic::margin, but in a ring alone a slice is handed on as soon as it has arrived: a step's
/// latency is hidden by the other slices of the chunk, though never the path's.
flow::Traffic::Margin Pricing::margin(const Wire& w, const flow::StepCosts& c) const {
    flow::Traffic::Margin m = t_.margin(size_, lane_epoch_, c, w.overhead_per_mille);
    const std::int64_t hops = std::int64_t{e_.fill.scale_up} + e_.fill.network;
    if (!t_.one_ring() || hops == 0) return m;
    const Int128 slices = Int128{cut_.loops} * cut_.loop_slices;
    const Int128 others = flow(w) * (slices - 1) / (slices * hops);
    const auto left = [&](SimDuration step) {
        return std::max<Int128>(step_time(step) - others, 0);
    };
    const Int128 seen = left(c.scale_up) * e_.fill.scale_up + left(c.network) * e_.fill.network +
                        std::min(others, slowest_step(c));
    m.before = std::min(m.before, std::max(e_.fill.latency, duration(seen)));
    return m;
}

/// Of what limits a rate, that which takes longest from the first byte on.
Pricing::Bound Pricing::longest_bound(const Wire& w) const {
    Bound most{"", 0};
    const auto limit = [&](const char* name, Int128 ps) {
        if (ps > most.ps) most = {name, ps};
    };
    if (w.block_bytes_per_s > 0)
        limit("thread blocks",
              ceil_div(of_size(e_.ends.block_bytes_per_gib) * channels_ * kPsPerSecond,
                       Int128{blocks_} * w.block_bytes_per_s));
    if (!over_network()) return most;
    const Int128 count = messages(w) - 1;  // the first is a step's
    const Int128 nic = count * d_[Detail::kNicMessage];
    const Int128 pairs = count * missed().ps();
    limit("proxy messages", count * d_[Detail::kProxyMessage]);
    limit(pairs > nic ? "queue-pair cache" : "NIC messages", nic + pairs);
    if (w.block_bytes_per_s == 0 || e_.ends.network_rate == 0) return most;
    const Int128 slice = slice_of(w);
    const Bandwidth rate = detailed_rate(d_, LinkKind::kAccess, Bandwidth{e_.ends.network_rate});
    const std::int64_t slots = std::max<std::int64_t>(t_.plan().channels.front().slots, 1);
    const Int128 slices = ceil_div(of_size(e_.ends.connection_bytes_per_gib), slice);
    const Int128 on_wire = ceil_div(slice * 8 * w.overhead_per_mille * kPsPerSecond,
                                    Int128{1000} * rate.bits_per_second());
    const SimDuration trip = steps(w, 3).network + e_.ends.network_latency + w.ready;
    if (slices > slots) limit("slots", (slices - 1) / slots * (on_wire + trip.ps()));
    return most;
}

/// The margin grows as mechanisms join, each by what it adds.
void Pricing::list(const Wire& w, const EndpointPrice& e, const Bound& held, SimDuration excess,
                   std::vector<EndpointPart>& parts) const {
    parts.clear();
    const auto add = [&](const char* name, SimDuration time) {
        if (time.ps() > 0) parts.push_back({name, time});
    };
    const auto visible = [&](int mechanisms) {
        const flow::Traffic::Margin m = margin(w, steps(w, mechanisms));
        return m.before + m.after;
    };
    const SimDuration by[] = {visible(0), visible(1), visible(2), visible(3)};
    add("launch", w.launch);
    add(w.block_bytes_per_s > 0 ? "clear-to-send" : "rendezvous", w.ready);
    add("flags", by[1] - by[0]);
    add("proxy thread", by[2] - by[1]);
    add("NIC", by[3] - by[2]);
    add("copies", 2 * w.copies);
    add("paths and phases", by[0]);
    if (excess.ps() > 0) parts.push_back({held.name, excess});
    add("bytes", e.total - e.before - e.after);
}

EndpointPrice Pricing::price(const Wire& w, std::vector<EndpointPart>* parts) const {
    const flow::StepCosts all = steps(w, 3);
    const flow::Traffic::Margin m = margin(w, all);
    EndpointPrice e{.protocol = w.name,
                    .overhead_per_mille = w.overhead_per_mille,
                    .launch = w.launch,
                    .steps = all,
                    .entry = w.launch + w.ready + w.copies,
                    .before = w.launch + w.ready + w.copies + m.before,
                    .least = {},
                    .after = m.after + w.copies,
                    .total = {}};
    // What holds up a rate does so from the end of the first step on.
    const Int128 unheld = m.before.ps() + flow(w) + m.after.ps();
    const Bound held = longest_bound(w);
    const SimDuration excess = duration(std::max<Int128>(slowest_step(all) + held.ps - unheld, 0));
    e.after += excess;
    e.least = duration(slowest_step(all) + held.ps);
    e.total = e.before + duration(flow(w)) + e.after;
    if (parts != nullptr) list(w, e, held, excess, *parts);
    return e;
}

}  // namespace

EndpointPrice price_detailed(const Scenario& s, const flow::Traffic& traffic, Bytes size,
                             std::size_t lane_epoch, std::optional<WireProtocol> forced,
                             std::vector<EndpointPart>* parts) {
    const Pricing pricing(s, traffic, size, lane_epoch);
    std::vector<Wire> wires;
    // Switches reduce what comes by Simple.
    if (traffic.epochs()[lane_epoch].switched_cells > 0) forced = WireProtocol::kSimple;
    if (forced) {
        wires.push_back(pricing.of_kernel(*forced));
    } else if (traffic.plan().collective == Collective::kSendRecv && !nccl_version(s.library)) {
        wires.push_back(pricing.of_message());
    } else {
        for (const WireProtocol p :
             {WireProtocol::kLl, WireProtocol::kLl128, WireProtocol::kSimple})
            wires.push_back(pricing.of_kernel(p));
    }
    const Wire* best = nullptr;
    SimDuration least;
    for (const Wire& w : wires) {
        const SimDuration total = pricing.price(w, nullptr).total;
        if (best != nullptr && total >= least) continue;
        best = &w;
        least = total;
    }
    return pricing.price(*best, parts);
}

Bandwidth detailed_rate(const DetailedCosts& d, LinkKind kind, Bandwidth nominal) {
    const Int128 rate = nominal.bits_per_second();
    if (kind == LinkKind::kPcie) return nominal;
    const Int128 used =
        kind == LinkKind::kScaleUp
            ? rate * d[Detail::kScaleUpRate] / 1000
            : rate * d[Detail::kNicMtu] / (d[Detail::kNicMtu] + d[Detail::kNicHeaders]);
    return Bandwidth{static_cast<std::int64_t>(used)};
}

std::vector<std::string> detailed_assumptions(const DetailedCosts& d) {
    std::vector<std::string> figures;
    std::vector<std::string> assumed;
    for (std::size_t i = 0; i < kDetails; ++i) {
        const DetailInfo& info = detail_table()[i];
        figures.push_back(
            fmt::format("{} {}", info.name, value_text(info.unit, d.figures[i].value)));
        if (d.figures[i].from.starts_with("assumed")) assumed.emplace_back(info.name);
    }
    return {
        fmt::format("endpoint detailed, fitted to nothing: {}", fmt::join(figures, ", ")),
        fmt::format("endpoint detailed: without a published source: {}", fmt::join(assumed, ", "))};
}

}  // namespace weft
