// Any text is a quantity or a ConfigError, and a quantity's short text is a quantity again.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace {

template <class Parse>
void try_one(const std::string& text, Parse parse) {
    try {
        const auto value = parse(text);
        WEFT_CHECK(!to_string(value).empty(), "a quantity has a text");
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    try_one(text, weft::parse_bytes);
    try_one(text, weft::parse_bandwidth);
    try_one(text, weft::parse_duration);
    return 0;
}
