// weft-live-mpi [TRANSPORT [MIB]]: started by mpirun. Collectives of weft.h among the processes of
// an MPI job, over MPI ("mpi", the default) or another transport, against MPI's own results,
// element by element. With MIB: the median time of an all-reduce of that size, in turns with MPI's
// own.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "collectives/api/include/weft_mpi.h"

namespace {

struct Job {
    weft_comm_t comm = nullptr;
    int rank = 0;
    int ranks = 0;
};

void require(weft_result_t result, const char* what) {
    if (result == WEFT_SUCCESS) return;
    std::fprintf(stderr, "%s: %s: %s\n", what, weft_result_name(result), weft_last_error());
    std::exit(1);
}

std::vector<std::int32_t> numbers(const Job& j, std::size_t count, std::uint32_t seed) {
    std::vector<std::int32_t> v(count);
    std::uint32_t x = seed * 2654435761u + static_cast<std::uint32_t>(j.rank) * 40503u + 1;
    for (auto& n : v) {
        x = x * 1664525u + 1013904223u;
        n = static_cast<std::int32_t>(x >> 8);
    }
    return v;
}

void same(const Job& j, const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b,
          const char* what) {
    const auto [at, other] = std::mismatch(a.begin(), a.end(), b.begin());
    if (at == a.end()) return;
    std::fprintf(stderr, "rank %d: %s: element %td is %d, MPI's is %d\n", j.rank, what,
                 at - a.begin(), *at, *other);
    std::exit(1);
}

/// Every collective with blocks of `count`, blocking and not, against MPI's.
void compare(const Job& j, weft_comm_t comm, MPI_Comm mpi, std::size_t count) {
    int rank = 0;
    int ranks = 0;
    MPI_Comm_rank(mpi, &rank);
    MPI_Comm_size(mpi, &ranks);
    const std::size_t all = count * static_cast<std::size_t>(ranks);
    const int n = static_cast<int>(count);
    const auto in = numbers(j, all, static_cast<std::uint32_t>(count));
    std::vector<std::int32_t> ours(all);
    std::vector<std::int32_t> theirs(all);
    for (const bool waits : {true, false}) {
        weft_request_t request = nullptr;
        weft_request_t* const to = waits ? nullptr : &request;
        const auto done = [&](weft_result_t started, const char* what) {
            require(started, what);
            if (!waits) {
                require(weft_wait(request, 60), what);
                require(weft_request_free(request), what);
            }
            same(j, ours, theirs, what);
        };
        MPI_Allreduce(in.data(), theirs.data(), n * ranks, MPI_INT32_T, MPI_SUM, mpi);
        done(weft_allreduce(in.data(), ours.data(), all, WEFT_INT32, WEFT_SUM, comm, to),
             "all-reduce");
        MPI_Allgather(in.data(), n, MPI_INT32_T, theirs.data(), n, MPI_INT32_T, mpi);
        done(weft_allgather(in.data(), ours.data(), count, WEFT_INT32, comm, to), "all-gather");
        MPI_Alltoall(in.data(), n, MPI_INT32_T, theirs.data(), n, MPI_INT32_T, mpi);
        done(weft_alltoall(in.data(), ours.data(), count, WEFT_INT32, comm, to), "all-to-all");
        MPI_Reduce_scatter_block(in.data(), theirs.data(), n, MPI_INT32_T, MPI_MAX, mpi);
        done(weft_reduce_scatter(in.data(), ours.data(), count, WEFT_INT32, WEFT_MAX, comm, to),
             "reduce-scatter");
    }
}

double median_seconds(const Job& j, std::vector<double> times) {
    std::sort(times.begin(), times.end());
    double mine = times[times.size() / 2];
    double slowest = 0;
    MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    (void)j;
    return slowest;
}

void measure(const Job& j, std::size_t bytes) {
    const std::size_t count = bytes / sizeof(float);
    std::vector<float> in(count, 1.0f);
    std::vector<float> out(count);
    std::vector<double> ours;
    std::vector<double> theirs;
    for (int i = 0; i < 12; ++i) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double a = MPI_Wtime();
        require(
            weft_allreduce(in.data(), out.data(), count, WEFT_FLOAT32, WEFT_SUM, j.comm, nullptr),
            "all-reduce");
        const double b = MPI_Wtime();
        MPI_Barrier(MPI_COMM_WORLD);
        const double c = MPI_Wtime();
        MPI_Allreduce(in.data(), out.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                      MPI_COMM_WORLD);
        const double d = MPI_Wtime();
        if (i < 2) continue;
        ours.push_back(b - a);
        theirs.push_back(d - c);
    }
    const double weft = median_seconds(j, ours);
    const double mpi = median_seconds(j, theirs);
    if (j.rank == 0)
        std::printf("all-reduce of %zu bytes: weft %.1f us, MPI %.1f us (medians of 10)\n", bytes,
                    1e6 * weft, 1e6 * mpi);
}

}  // namespace

int main(int argc, char** argv) {
    int level = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    const std::string transport = argc > 1 ? argv[1] : "mpi";
    weft_options_t options{};
    options.size = sizeof options;
    options.transport = transport.c_str();
    Job j;
    require(weft_comm_init_mpi(&j.comm, MPI_COMM_WORLD, nullptr, &options), "init");
    j.rank = weft_comm_rank(j.comm);
    j.ranks = weft_comm_size(j.comm);
    for (const std::size_t count : {1, 7, 1000, 5000, 300'001})
        compare(j, j.comm, MPI_COMM_WORLD, count);

    weft_comm_t half = nullptr;
    MPI_Comm mpi_half = MPI_COMM_NULL;
    require(weft_comm_split(j.comm, j.rank % 2, -j.rank, &half), "split");
    MPI_Comm_split(MPI_COMM_WORLD, j.rank % 2, -j.rank, &mpi_half);
    compare(j, half, mpi_half, 10'001);
    require(weft_comm_finalize(half), "finalize");
    MPI_Comm_free(&mpi_half);

    if (argc > 2) measure(j, std::strtoul(argv[2], nullptr, 10) << 20);
    require(weft_comm_finalize(j.comm), "finalize");
    if (j.rank == 0) std::printf("%d ranks over %s: as MPI\n", j.ranks, transport.c_str());
    MPI_Finalize();
    return 0;
}
