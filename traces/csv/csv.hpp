#pragma once
// A table of sizes and times or rates: comma, semicolon or tab between the cells.
//
// The first line names the columns: `size`, and one of `time`, `busbw`, `algbw`; `low` and `high`
// may give the range of the time, `collective` splits the rows into cases. A unit stands in the
// name (size_bytes, time_us, "busbw (GB/s)") or in each cell (64MiB, 29.9us); there is no default.
// Sizes are those of nccl-tests, the whole array. Leaves out: quoted cells with separators in them.
#include <string>
#include <string_view>

#include "traces/measurements/import.hpp"

namespace weft::csv {

[[nodiscard]] bool recognises(std::string_view text);
[[nodiscard]] Imported read(const std::string& text, const std::string& file,
                            const ImportHints& hints);

}  // namespace weft::csv
