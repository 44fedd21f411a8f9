#pragma once
// Output of the OSU Micro-Benchmarks' latency tests: osu_allreduce, osu_allgather, osu_alltoall,
// osu_reduce_scatter, osu_bcast, osu_reduce, osu_gather, osu_scatter and osu_latency, over MPI or
// over NCCL.
//
// OSU counts the bytes that a rank contributes; Weft, like nccl-tests, the whole array. So a size
// of all-gather and all-to-all is multiplied by the ranks, which the hints must give: the output
// does not say them. The range is the fastest and the slowest rank, where printed (-f). Leaves out:
// bandwidth tests. Source: OSU Micro-Benchmarks 7, c/mpi/collective.
#include <string>
#include <string_view>

#include "traces/measurements/import.hpp"

namespace weft::osu {

[[nodiscard]] bool recognises(std::string_view text);
[[nodiscard]] Imported read(const std::string& text, const std::string& file,
                            const ImportHints& hints);

}  // namespace weft::osu
