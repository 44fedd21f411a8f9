// Any bytes are a machine profile that reads back as written, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "simulator/endpoint/profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    weft::MachineProfile p;
    try {
        p = weft::parse_profile(text, "f");
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
        return 0;
    }
    for (std::size_t i = 0; i < weft::kCosts; ++i) {
        const weft::Estimate& e = p.costs[i];
        const weft::CostInfo& info = weft::cost_table()[i];
        WEFT_CHECK(info.least <= e.low && e.low <= e.value, "low within what can be believed");
        WEFT_CHECK(e.value <= e.high && e.high <= info.most, "high within what can be believed");
    }
    const std::string written = weft::to_yaml(p);
    const weft::MachineProfile q = weft::parse_profile(written, "written");
    WEFT_CHECK(weft::to_yaml(q) == written, "a profile reads back as written");
    WEFT_CHECK(q.name == p.name && q.title == p.title && q.also == p.also, "names read back");
    return 0;
}
