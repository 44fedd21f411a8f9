// Any bytes are a file of measurements, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "traces/measurements/measurement.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        for (const weft::MeasuredCase& c : weft::read_measurements(text, "f").cases) {
            WEFT_CHECK(c.ranks() >= 2, "a collective of at least two");
            for (const weft::MeasuredPoint& p : c.points) {
                WEFT_CHECK(p.low <= p.time && p.time <= p.high, "the time within its range");
                (void)weft::busbw_of(c.collective, c.ranks(), p.size, p.time);
            }
        }
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
    return 0;
}
