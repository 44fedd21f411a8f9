#include "tools/live_validate/prediction.hpp"

#include <fmt/format.h>

#include "collectives/select/live.hpp"
#include "simulator/scenario.hpp"
#include "traces/synth/synth.hpp"

namespace weft::tools {

namespace {

constexpr std::int64_t kFrame = 9014;
constexpr std::int64_t kData = 8948;

}  // namespace

Bandwidth goodput(Bandwidth nic) {
    return Bandwidth{nic.bits_per_second() * kData / kFrame};
}

std::string fabric_text(std::uint32_t hosts, Bandwidth nic) {
    const std::int64_t data = goodput(nic).bits_per_second();
    std::string text = fmt::format(
        "name: namespaces\n"
        "ports: dual-plane\n"
        "hosts:\n"
        "  - {{name: host, count: {}, template: one-gpu-four-nics, nics: 2}}\n"
        "switches:\n"
        "  - {{name: plane0, count: 2, tier: 1, plane: 0}}\n"
        "  - {{name: plane1, count: 2, tier: 1, plane: 1}}\n"
        "links:\n",
        hosts);
    for (const char* plane : {"plane0", "plane1"})
        text += fmt::format("  - {{from: host, to: {}, rule: rail, rate: {}bps, latency: 0}}\n",
                            plane, data);
    return text;
}

PlanTemplate live_plan(Collective collective, Bytes size, std::uint32_t hosts) {
    const GroupShape shape{.n = hosts, .uniform = true, .per_host = 1, .hosts = hosts};
    return build_live(collective, choose_live(collective, size, shape, 0), shape);
}

SimDuration simulated_time(const Fabric& fabric, const PlanTemplate& plan, Bytes size) {
    const Workload workload = one_collective(plan.collective, size, plan.n);
    Scenario s;
    s.fabric = &fabric;
    s.workload = &workload;
    s.placement = packed_placement(fabric, plan.n);
    s.library.plan = &plan;
    s.endpoint = EndpointModel::kIdeal;
    return simulate(s).collectives.at(0).mean_time;
}

}  // namespace weft::tools
