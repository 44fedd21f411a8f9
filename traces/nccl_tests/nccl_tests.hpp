#pragma once
// Output of nccl-tests (also rccl-tests), and the lines of NCCL_DEBUG=INFO around it.
//
// Reads: any number of tables in one text; columns by their header (old and new); rows that NCCL's
// own lines cut in two; prefixes of mpirun and srun; "N/A"; a last row cut short (dropped, noted).
// A point's range is its out-of-place and its in-place time. The collective comes from a hint, else
// from the name of the program, else from the columns. Source: nccl-tests src/common.cu.
#include <string>
#include <string_view>

#include "traces/measurements/import.hpp"

namespace weft::nccl_tests {

[[nodiscard]] bool recognises(std::string_view text);
[[nodiscard]] Imported read(const std::string& text, const std::string& file,
                            const ImportHints& hints);

/// Takes in one line of NCCL's log; false when it is none.
bool read_log_line(std::string_view line, int number, NcclFacts& facts);

}  // namespace weft::nccl_tests
