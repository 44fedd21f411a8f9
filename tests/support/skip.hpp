#pragma once
// Optional inputs. Catch2 2.13 has no SKIP: a case that lacks its input says so and returns, and
// CTest counts it as skipped by the words it prints. Where the inputs lie beside the checkout,
// .ci/run fails if anything was skipped.
#include <cstdio>
#include <filesystem>
#include <string>

namespace weft::tests {

/// Where the real inputs of other tools lie, when they are there.
[[nodiscard]] inline std::filesystem::path shared_data(const std::string& below) {
    return std::filesystem::path(WEFT_SHARED_DATA) / below;
}

}  // namespace weft::tests

/// Ends the test case and counts it as skipped.
#define WEFT_SKIP(why)                                          \
    do {                                                        \
        std::printf("SKIPPED: %s\n", std::string(why).c_str()); \
        return;                                                 \
    } while (false)

/// Ends the test case as skipped unless the shared input exists; names the path as `variable`.
#define WEFT_NEEDS_SHARED(variable, below)                                  \
    const std::filesystem::path variable = weft::tests::shared_data(below); \
    if (!std::filesystem::exists(variable)) WEFT_SKIP(std::string(below) + " is not here")
