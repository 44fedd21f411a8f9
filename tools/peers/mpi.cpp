// weft-peer-mpi: the same collectives on an MPI library, told what to do as `weft bench` tells its
// own ranks (tools/bench/job.hpp); rank 0 reads and answers for all. Between jobs nobody spins.
#include <algorithm>
#include <array>
#include <cstdint>
#include <iostream>
#include <mpi.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "tools/peers/floats.hpp"

namespace {

using weft::tools::Answer;
using weft::tools::Job;

struct World {
    int rank = 0;
    int ranks = 1;
    weft::tools::Floats floats;
};

/// In place, the root's other buffer is not looked at; what the others send stays where it is.
bool rooted(World& w, const Job& j) {
    const auto count = static_cast<int>(j.count);
    const auto root = static_cast<int>(j.root);
    const bool own = j.in_place && w.rank == root;
    void* out = own && j.collective == "scatter" ? MPI_IN_PLACE : w.floats.out.data();
    const void* in = own && j.collective != "scatter" ? MPI_IN_PLACE : w.floats.in.data();
    MPI_Comm all = MPI_COMM_WORLD;
    if (j.collective == "reduce") {
        MPI_Reduce(in, out, count, MPI_FLOAT, MPI_SUM, root, all);
    } else if (j.collective == "gather") {
        MPI_Gather(in, count, MPI_FLOAT, out, count, MPI_FLOAT, root, all);
    } else if (j.collective == "scatter") {
        MPI_Scatter(in, count, MPI_FLOAT, out, count, MPI_FLOAT, root, all);
    } else {
        return false;
    }
    return true;
}

/// One collective of float sums; false for what this program does not do.
bool once(World& w, const Job& j) {
    const auto count = static_cast<int>(j.count);
    void* out = w.floats.out.data();
    const bool own = j.in_place;
    const void* in = own ? MPI_IN_PLACE : w.floats.in.data();
    MPI_Comm all = MPI_COMM_WORLD;
    if (j.collective == "allreduce") {
        MPI_Allreduce(in, out, count, MPI_FLOAT, MPI_SUM, all);
    } else if (j.collective == "allgather") {
        MPI_Allgather(in, count, MPI_FLOAT, out, count, MPI_FLOAT, all);
    } else if (j.collective == "reducescatter") {
        MPI_Reduce_scatter_block(in, out, count, MPI_FLOAT, MPI_SUM, all);
    } else if (j.collective == "alltoall") {
        MPI_Alltoall(in, count, MPI_FLOAT, out, count, MPI_FLOAT, all);
    } else if (j.collective == "broadcast") {
        MPI_Bcast(w.floats.in.data(), count, MPI_FLOAT, static_cast<int>(j.root), all);
    } else {
        return rooted(w, j);
    }
    return true;
}

Answer run(World& w, const Job& j) {
    Answer a;
    if (j.dtype != "float" || j.op != "sum") {
        a.error = "this peer does float sums only";
        return a;
    }
    fill(w.floats, j, w.rank, w.ranks);
    if (!once(w, j)) {
        a.error = "this peer has no " + j.collective;
        return a;
    }
    if (j.check) a.wrong = count_wrong(w.floats, j, w.rank, w.ranks);
    for (std::uint32_t i = 0; i < j.warmup; ++i) once(w, j);
    std::vector<double> mine(j.iterations);
    const double before = weft::tools::cpu_seconds();
    for (double& t : mine) {
        const double start = MPI_Wtime();
        once(w, j);
        t = MPI_Wtime() - start;
    }
    double cpu = weft::tools::cpu_seconds() - before;
    a.seconds.resize(mine.size());
    MPI_Reduce(mine.data(), a.seconds.data(), static_cast<int>(mine.size()), MPI_DOUBLE, MPI_MAX, 0,
               MPI_COMM_WORLD);
    MPI_Reduce(&cpu, &a.cpu_seconds, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    std::uint64_t wrong = a.wrong;
    MPI_Reduce(&wrong, &a.wrong, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    a.plan = "its own choice";
    return a;
}

/// The next line, at every rank; empty at the end. Those that wait for rank 0 sleep meanwhile.
std::string next_line(const World& w) {
    std::string line;
    if (w.rank == 0 && !std::getline(std::cin, line)) line.clear();
    std::array<char, 256> text{};
    std::copy_n(line.begin(), std::min(line.size(), text.size() - 1), text.begin());
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ibcast(text.data(), static_cast<int>(text.size()), MPI_CHAR, 0, MPI_COMM_WORLD, &request);
    int done = 0;
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) usleep(500);
    return text.data();
}

}  // namespace

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    World w;
    MPI_Comm_rank(MPI_COMM_WORLD, &w.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &w.ranks);
    if (w.rank == 0) std::cout << "ready" << std::endl;
    for (std::string line = next_line(w); !line.empty(); line = next_line(w)) {
        const auto job = weft::tools::parse_job(line);
        Answer answer;
        if (job)
            answer = run(w, *job);
        else
            answer.error = "not a job: " + line;
        if (w.rank == 0) std::cout << to_line(answer) << std::endl;
    }
    MPI_Finalize();
    return 0;
}
