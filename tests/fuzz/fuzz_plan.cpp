// Plans as data and by name: any bytes are read or refused; what is read has transfers within its
// ranks and units, goes out and comes in the same, and the checker gets to the end of it.
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "collectives/plan/checker.hpp"
#include "collectives/plan/form.hpp"
#include "collectives/plan/io/plan_json.hpp"
#include "collectives/select/plan_spec.hpp"

namespace {

using namespace weft;

void try_json(std::string_view text) {
    PlanTemplate p;
    try {
        p = plan_from_json(text);
    } catch (const ConfigError&) {
        return;
    }
    WEFT_CHECK(fault_of_form(p).empty());
    WEFT_CHECK(plan_from_json(plan_to_json(p)).hash() == p.hash(), "a Plan has one meaning");
    std::uint64_t work = 0;
    for (const Channel& c : p.channels) work += std::uint64_t{c.units} * p.n * c.stages.size();
    if (work > 4'096) return;  // the checker's time is its own matter
    const CheckReport report = check_plan(p);
    WEFT_CHECK(report.ok == report.problem.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try_json(text);
    try {
        static_cast<void>(parse_plan_spec(text));
    } catch (const ConfigError&) {
    }
    return 0;
}
