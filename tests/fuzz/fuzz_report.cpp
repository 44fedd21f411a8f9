// What ranks tell `weft doctor`, and the table in which it finds them: any bytes are parsed or
// refused, what is parsed names no rank outside its job, and has one meaning.
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "collectives/transport/net/visit.hpp"

namespace {

using namespace weft::live;
using namespace weft::live::net;

void try_report(ByteSpan bytes) {
    const auto report = parse_report(bytes);
    if (!report) return;
    WEFT_CHECK(report->rank < report->ranks);
    WEFT_CHECK(report->homes.empty() || report->homes.size() == report->ranks);
    for (const RankReport::Group& g : report->groups) {
        WEFT_CHECK(!contains(g.members, report->ranks), "a member outside the job");
        for (const Absent& a : g.absent) WEFT_CHECK(a.rank < report->ranks);
    }
    const auto again = parse_report(encode(*report));
    WEFT_CHECK(again && *again == *report, "a report has one meaning");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try_report(std::as_bytes(std::span(data, size)));
    for (const DoorName& door : doors_in(text)) WEFT_CHECK(parse_door_name(to_text(door)) == door);
    return 0;
}
