// Which of several equal links a packet takes.
#include "base/rng.hpp"
#include "simulator/packet/network.hpp"

namespace weft::packet {
namespace {

constexpr unsigned kFlowletEntries = 12;  // 2^12 a switch

SprayRule rule_of(Spread s) {
    switch (s) {
        case Spread::kBitmap:
            return SprayRule::kBitmap;
        case Spread::kReps:
            return SprayRule::kReps;
        case Spread::kMixed:
            return SprayRule::kMixed;
        default:
            return SprayRule::kOblivious;
    }
}

}  // namespace

void Network::prepare_spreading() {
    spray_profile_.rule = rule_of(options_.spread);
    spray_profile_.entropies = options_.entropies;
    if (!chosen_by_switch(options_.spread)) return;
    AdaptivePort port;
    if (options_.spread == Spread::kShortest)
        port = {.shift = 0, .levels = INT64_MAX, .turn = 0, .best = 0};
    adaptive_.assign(fabric_->nodes().size(), port);
    if (options_.spread == Spread::kFlowlet) flowlets_.resize(fabric_->nodes().size());
}

/// kNone: there is no way on.
std::uint32_t Network::next_link(Packet& p, NodeId at) {
    if (p.row == kNone) return routes_[p.route++];
    const std::span<const std::uint32_t> ways = forwarding_.next(p.row, at);
    // A packet that is spread knows the exit of its last switch.
    if (ways.empty()) return fabric_->link(LinkId{p.route}).from == at ? p.route : kNone;
    if (!adaptive_.empty() && p.kind == Kind::kData) return adaptive_link(p, at, ways);
    const std::uint64_t hash = mix64(mix64(p.flow, p.entropy), mix64(options_.seed, at.value()));
    return ways[hash % ways.size()];
}

/// The switch decides by what waits at its ports.
std::uint32_t Network::adaptive_link(const Packet& p, NodeId at,
                                     std::span<const std::uint32_t> ways) {
    constexpr Bytes kDown{INT64_MAX};
    const auto waiting = [&](std::size_t i) {
        const Port& port = ports_[ways[i]];
        return port.up ? Bytes{port.queue[kPayload].bytes} : kDown;
    };
    AdaptivePort& rule = adaptive_[at.index()];
    // Ties by hash, so that idle ports are all used.
    const std::uint64_t draw = mix64(p.flow, mix64(p.seq, at.value()));
    switch (options_.spread) {
        case Spread::kAdaptive:
            return ways[rule.least_in_turn(ways.size(), waiting)];
        case Spread::kTwoChoices:
            return ways[rule.two_choices(ways.size(), waiting, draw)];
        case Spread::kFlowlet: {
            if (!flowlets_[at.index()])
                flowlets_[at.index()] =
                    std::make_unique<FlowletTable>(kFlowletEntries, options_.flowlet_gap);
            return ways[flowlets_[at.index()]->choose(
                mix64(options_.seed, p.flow), now(), static_cast<std::uint32_t>(ways.size()),
                [&] { return rule.least_in_turn(ways.size(), waiting); })];
        }
        default:
            return ways[rule.least(ways.size(), waiting, draw % ways.size())];
    }
}

}  // namespace weft::packet
