#include "simulator/ns3/referee.hpp"

#include "base/result.hpp"
#include "simulator/packet/flow_run.hpp"

namespace weft::foreign {
namespace {

void check(const FlowSpec& spec, std::uint32_t f, const UdpOptions& options) {
    const char* wrong = nullptr;
    if (spec.rate == Bandwidth{0}) wrong = "no rate";
    if (spec.after != kNoTrigger || spec.connection != kOwnConnection) wrong = "a trigger";
    if (spec.size.count() % options.payload.count() != 0) wrong = "a part of a packet";
    if (wrong == nullptr) return;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "flow " + std::to_string(f),
                       .found = wrong,
                       .expected = "whole packets at a fixed rate from a time on",
                       .example = {}});
}

}  // namespace

StockRun run_udp(const Fabric& fabric, const FlowSet& set, const UdpOptions& options) {
    const Health health(fabric);
    std::vector<PlainLink> links;
    for (std::size_t l = 0; l < fabric.links().size(); ++l) {
        const Link& link = fabric.links()[l];
        links.push_back({link.from.value(), link.to.value(),
                         health.rate(LinkId{l}).bits_per_second(), link.latency.ps()});
    }
    const Router router(fabric);
    std::vector<PlainFlow> flows;
    for (std::uint32_t f = 0; f < set.flows.size(); ++f) {
        const FlowSpec& spec = set.flows[f];
        check(spec, f, options);
        PlainFlow& flow = flows.emplace_back();
        for (const LinkId l : packet::flow_path(router, spec, f, options.seed).there)
            flow.links.push_back(l.value());
        flow.packets = static_cast<std::uint32_t>(spec.size.count() / options.payload.count());
        flow.start_ps = spec.start.ps();
        flow.interval_ps = (options.payload.count() + kStockHeader) * 8'000'000'000'000 /
                           spec.rate.bits_per_second();
    }
    return run_stock(links, flows,
                     {.payload = static_cast<std::uint32_t>(options.payload.count()),
                      .queue_packets = options.queue_packets});
}

}  // namespace weft::foreign
