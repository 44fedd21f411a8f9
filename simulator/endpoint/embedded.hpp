#pragma once
// The files of simulator/endpoint/profiles as text inside the program (tools/cmake/embed.cmake).
#include <vector>

#include "traces/measurements/embedded.hpp"

namespace weft {

/// In the order of their names.
[[nodiscard]] std::vector<EmbeddedFile> embedded_profile_files();

}  // namespace weft
