// Any text is a failure, or a file of failures, or one line of ConfigError; what is read prints as
// what reads the same.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/failures.hpp"

namespace {

constexpr std::size_t kMaxInput = 4096;

template <class Read>
void check(Read read) {
    try {
        read();
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > kMaxInput) return 0;
    static const weft::Fabric fabric =
        weft::make_fabric("hpn7", {{"segments", "1"}, {"hosts_per_segment", "1"}});
    const std::string text(reinterpret_cast<const char*>(data), size);
    check([&] {
        const weft::Failure f = weft::parse_failure(fabric, text);
        WEFT_CHECK(weft::parse_failure(fabric, to_string(fabric, f)) == f, "{}",
                   to_string(fabric, f));
    });
    check([&] {
        for (const weft::Failure& f : weft::read_failures(fabric, text, "f"))
            WEFT_CHECK(!links_of(fabric, f).empty(), "a failure strikes something");
    });
    return 0;
}
