// Any bytes are measured times that fit a small workload, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "traces/measured/measured.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const weft::Workload kJob =
        weft::read_workload({"j",
                             "workload: t\nworld: 8\ngroups: {TP: {size: 2}}\nstages:\n  - ops:\n"
                             "      - {compute: 1ms}\n"
                             "      - {collective: allreduce, group: TP, size: 64MiB}\n"
                             "      - {collective: alltoall, group: TP, size: 1MiB}\n"});
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        weft::Workload w = kJob;
        weft::apply(weft::read_measured({"f", text}), w);
        weft::validate(w);
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
    return 0;
}
