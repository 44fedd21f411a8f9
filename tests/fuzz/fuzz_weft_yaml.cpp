// Any bytes are a Weft workload, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "traces/weft_yaml/weft_yaml.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        const weft::Workload w = weft::weft_yaml::read({"f", text}, {});
        WEFT_CHECK(w.world <= weft::kMaxWorld, "a world within bounds");
        weft::validate(w);
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
    return 0;
}
