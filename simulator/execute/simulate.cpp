#include <algorithm>
#include <fmt/format.h>

#include "base/result.hpp"
#include "simulator/execute/report.hpp"

namespace weft {
namespace {

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
    for (const Failure& f : s.failures)
        WEFT_CHECK(f.link.index() < s.fabric->links().size(), "failure of an unknown link");
    validate(*s.workload);
}

}  // namespace

Result simulate(const Scenario& s, const ProgressSink& progress) {
    check(s);
    if (progress) progress(0, "planning");
    const World world(s);
    Machine machine(world.machine_input(progress));
    machine.run();
    return make_result(s, world, machine);
}

}  // namespace weft
