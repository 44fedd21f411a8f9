#include <algorithm>
#include <fmt/format.h>

#include "base/result.hpp"
#include "simulator/execute/packet_carrier.hpp"
#include "simulator/execute/report.hpp"

namespace weft {
namespace {

/// Times stay far from the 106 days that 63 bits of picoseconds hold.
void check_jitter(const Scenario& s) {
    if (!s.jitter.any()) return;
    constexpr Int128 kMostPs = Int128{90} * 86'400 * 1'000'000'000'000;
    constexpr std::int64_t kMostNoise = 4;  // e^(6 x 20 %) is 3.3
    constexpr std::int64_t kWhole = 1'000'000'000;
    for (const Program& p : s.workload->programs) {
        Int128 worst = 0;
        for (const Op& op : p.ops)
            if (const auto* c = std::get_if<ComputeOp>(&op.what))
                worst += Int128{c->time.ps()} * (kWhole + s.jitter.slower_ppb) / kWhole *
                             (s.jitter.noise_ppb > 0 ? kMostNoise : 1) +
                         s.jitter.stall.ps();
        if (worst > kMostPs)
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = "jitter",
                               .found = to_string(s.jitter),
                               .expected = "at worst 90 days of compute in a step",
                               .example = {}});
    }
}

/// What an engine does not model it refuses.
void check_failures(const Scenario& s) {
    check_failures(*s.fabric, s.failures);
    if (s.network == NetworkModel::kPacket) return;
    for (const Failure& f : s.failures)
        if (!changes_rates(f.kind))
            throw ConfigError(
                {.file = {},
                 .line = 0,
                 .key = "failure",
                 .found = fmt::format("{} on the {} network", name_of(f.kind), name_of(s.network)),
                 .expected = "the packet network, which alone has packets to lose, "
                             "delay or pause; others take down, up, degraded, flap",
                 .example = "--network packet"});
}

void check(const Scenario& s) {
    WEFT_CHECK(s.fabric != nullptr && s.workload != nullptr, "a scenario without its inputs");
    const std::vector<std::string> libraries = library_names();
    if (std::find(libraries.begin(), libraries.end(), s.library.name) == libraries.end())
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "library",
                           .found = printable(s.library.name),
                           .expected = "one of " + suggest(s.library.name, libraries),
                           .example = "weft"});
    if (s.placement.ranks() < s.workload->world)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "placement",
                           .found = fmt::format("{} ranks", s.placement.ranks()),
                           .expected = fmt::format("a GPU for each of the workload's {} ranks",
                                                   s.workload->world),
                           .example = {}});
    check_failures(s);
    validate(*s.workload);
    check_jitter(s);
}

std::unique_ptr<Carrier> make_carrier(const Scenario& s, const World& world) {
    if (s.network == NetworkModel::kPacket)
        return std::make_unique<PacketCarrier>(s, world.universe(), world.makers(),
                                               world.known_health());
    return std::make_unique<FlowCarrier>(
        world.universe(), world.quotient(),
        s.network == NetworkModel::kFlow ? flow::Sharing::kMaxMin : flow::Sharing::kEqual);
}

}  // namespace

Result simulate(const Scenario& s, const ProgressSink& progress) {
    check(s);
    if (progress) progress(0, "planning");
    const World world(s);
    const std::unique_ptr<Carrier> carrier = make_carrier(s, world);
    Machine machine(world.machine_input(progress), *carrier);
    machine.run();
    return make_result(s, world, machine);
}

}  // namespace weft
