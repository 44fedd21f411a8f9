#pragma once
// The files of traces/measurements/data as text inside the program, so that an installed or moved
// program finds them without a path. tools/cmake/embed.cmake writes the definition at build time.
#include <string_view>
#include <vector>

namespace weft {

struct EmbeddedFile {
    std::string_view name;
    std::string_view text;
};

/// In the order of their names.
[[nodiscard]] std::vector<EmbeddedFile> embedded_measurement_files();

}  // namespace weft
