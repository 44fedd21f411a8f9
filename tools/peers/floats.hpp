#pragma once
// What programs that measure other libraries have in common (job.hpp says what they are told): sums
// of floats, every element rank + 1, so that whatever comes out is known.
#include <cstdint>
#include <vector>

#include "tools/bench/job.hpp"

namespace weft::tools {

struct Floats {
    std::vector<float> in;
    std::vector<float> out;
};

/// Both as large as the largest of the job's buffers, and filled.
void fill(Floats& floats, const Job& job, int rank, int ranks);
/// Elements of the output that are not what they must be. Of a broadcast: of `in`.
[[nodiscard]] std::uint64_t count_wrong(const Floats& floats, const Job& job, int rank, int ranks);
/// Of this process, all threads.
[[nodiscard]] double cpu_seconds();

}  // namespace weft::tools
