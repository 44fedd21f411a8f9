#include "tools/peers/floats.hpp"

#include <algorithm>
#include <ctime>

namespace weft::tools {

void fill(Floats& floats, const Job& job, int rank, int ranks) {
    const std::size_t elements = job.count * static_cast<std::size_t>(ranks);
    for (std::vector<float>* one : {&floats.in, &floats.out}) {
        if (one->size() < elements) one->resize(elements);
        std::fill_n(one->begin(), elements, static_cast<float>(rank + 1));
    }
}

std::uint64_t count_wrong(const Floats& floats, const Job& job, int rank, int ranks) {
    const bool to_root = job.collective == "reduce" || job.collective == "gather";
    if (to_root && rank != static_cast<int>(job.root)) return 0;
    const bool sums = job.collective == "allreduce" || job.collective == "reducescatter" ||
                      job.collective == "reduce";
    const bool one = job.collective == "broadcast" || job.collective == "scatter";
    const std::vector<float>& got = job.collective == "broadcast" ? floats.in : floats.out;
    std::uint64_t wrong = 0;
    for (int r = 0; r < (sums || one ? 1 : ranks); ++r) {
        const int want = sums  ? ranks * (ranks + 1) / 2
                         : one ? static_cast<int>(job.root) + 1
                               : r + 1;
        const std::size_t block = static_cast<std::size_t>(r) * job.count;
        for (std::uint64_t i = 0; i < job.count; ++i)
            wrong += got[block + i] != static_cast<float>(want);
    }
    return wrong;
}

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace weft::tools
