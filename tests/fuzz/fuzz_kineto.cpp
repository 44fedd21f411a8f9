// Any bytes are a Kineto trace that passes validation, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "traces/kineto/kineto.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const std::uint32_t gpus : {0U, 16U}) {
        try {
            weft::LoadOptions options;
            options.gpus = gpus;
            const weft::Workload w = weft::kineto::read({"f", text}, options);
            WEFT_CHECK(w.world <= weft::kMaxWorld, "a world within bounds");
            weft::validate(w);
        } catch (const weft::ConfigError& e) {
            const std::string line = e.what();
            WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
            WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
        }
    }
    return 0;
}
