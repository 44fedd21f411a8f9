// Any bytes are measured output of this format, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "traces/osu/osu.hpp"

namespace {

void read(const std::string& text, const weft::ImportHints& hints) {
    try {
        for (const weft::MeasuredCase& c : weft::osu::read(text, "f", hints).cases) {
            WEFT_CHECK(c.ranks() >= 2, "a collective of at least two");
            WEFT_CHECK(!c.points.empty(), "a case has points");
            for (const weft::MeasuredPoint& p : c.points)
                WEFT_CHECK(p.low <= p.time && p.time <= p.high, "the time within its range");
        }
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)weft::osu::recognises(text);
    read(text, {});
    read(text, {.collective = weft::Collective::kAllReduce, .hosts = 2, .gpus_per_host = 8});
    return 0;
}
