// weft-peer-gloo RANK RANKS DIRECTORY: the same collectives on Gloo over TCP on the loopback
// interface, which is all that it has inside a host; ranks meet in the directory. Told what to do
// as `weft bench` tells its own ranks (tools/bench/job.hpp). What Gloo lacks: shared memory; a
// reduce-scatter that keeps its input (the one that it has, halving and doubling, works in place,
// so a copy comes first).
#include <chrono>
#include <cstring>
#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/alltoall.h>
#include <gloo/broadcast.h>
#include <gloo/gather.h>
#include <gloo/math.h>
#include <gloo/reduce.h>
#include <gloo/reduce_scatter.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/scatter.h>
#include <gloo/transport/tcp/device.h>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "tools/peers/floats.hpp"

namespace {

using weft::tools::Answer;
using weft::tools::Floats;
using weft::tools::Job;
using Clock = std::chrono::steady_clock;
using ReduceScatter = gloo::ReduceScatterHalvingDoubling<float>;

struct World {
    std::shared_ptr<gloo::rendezvous::Context> context;
    Floats floats;
    std::unique_ptr<ReduceScatter> reduce_scatter;  // of the job under way
};

World join(int rank, int ranks, const std::string& directory) {
    gloo::transport::tcp::attr where("127.0.0.1");
    std::shared_ptr<gloo::transport::Device> device = gloo::transport::tcp::CreateDevice(where);
    gloo::rendezvous::FileStore store(directory);
    World w;
    w.context = std::make_shared<gloo::rendezvous::Context>(rank, ranks);
    w.context->connectFullMesh(store, device);
    return w;
}

void all_reduce(World& w, const Job& j) {
    gloo::AllreduceOptions o(w.context);
    if (!j.in_place) o.setInput(w.floats.in.data(), j.count);
    o.setOutput(w.floats.out.data(), j.count);
    using Sum = void (*)(void*, const void*, const void*, std::size_t);
    o.setReduceFunction(static_cast<Sum>(&gloo::sum<float>));
    gloo::allreduce(o);
}

void all_gather(World& w, const Job& j) {
    const auto rank = static_cast<std::size_t>(w.context->rank);
    gloo::AllgatherOptions o(w.context);
    o.setInput(j.in_place ? w.floats.out.data() + rank * j.count : w.floats.in.data(), j.count);
    o.setOutput(w.floats.out.data(), j.count * static_cast<std::size_t>(w.context->size));
    gloo::allgather(o);
}

void all_to_all(World& w, const Job& j) {
    const std::size_t elements = j.count * static_cast<std::size_t>(w.context->size);
    gloo::AlltoallOptions o(w.context);
    o.setInput(w.floats.in.data(), elements);
    o.setOutput(w.floats.out.data(), elements);
    gloo::alltoall(o);
}

void broadcast(World& w, const Job& j) {
    gloo::BroadcastOptions o(w.context);
    o.setOutput(w.floats.in.data(), j.count);
    o.setRoot(static_cast<int>(j.root));
    gloo::broadcast(o);
}

void reduce_scatter(World& w, const Job& j) {
    const auto ranks = static_cast<std::size_t>(w.context->size);
    if (!w.reduce_scatter) {
        const std::vector<int> blocks(ranks, static_cast<int>(j.count));
        w.reduce_scatter =
            std::make_unique<ReduceScatter>(w.context, std::vector<float*>{w.floats.out.data()},
                                            static_cast<int>(j.count * ranks), blocks);
    }
    if (!j.in_place)
        std::memcpy(w.floats.out.data(), w.floats.in.data(), j.count * ranks * sizeof(float));
    w.reduce_scatter->run();
}

void reduce(World& w, const Job& j) {
    gloo::ReduceOptions o(w.context);
    if (!j.in_place) o.setInput(w.floats.in.data(), j.count);
    o.setOutput(w.floats.out.data(), j.count);
    o.setRoot(static_cast<int>(j.root));
    using Sum = void (*)(void*, const void*, const void*, std::size_t);
    o.setReduceFunction(static_cast<Sum>(&gloo::sum<float>));
    gloo::reduce(o);
}

void gather(World& w, const Job& j) {
    const bool root = w.context->rank == static_cast<int>(j.root);
    gloo::GatherOptions o(w.context);
    o.setInput(root && j.in_place ? w.floats.out.data() + j.root * j.count : w.floats.in.data(),
               j.count);
    if (root) o.setOutput(w.floats.out.data(), j.count * static_cast<std::size_t>(w.context->size));
    o.setRoot(static_cast<int>(j.root));
    gloo::gather(o);
}

void scatter(World& w, const Job& j) {
    gloo::ScatterOptions o(w.context);
    std::vector<float*> blocks;
    for (std::size_t r = 0; r < static_cast<std::size_t>(w.context->size); ++r)
        blocks.push_back(w.floats.in.data() + r * j.count);
    if (w.context->rank == static_cast<int>(j.root)) o.setInputs(blocks, j.count);
    o.setOutput(w.floats.out.data(), j.count);
    o.setRoot(static_cast<int>(j.root));
    gloo::scatter(o);
}

using Collective = void (*)(World&, const Job&);
Collective collective_named(const std::string& name) {
    if (name == "allreduce") return all_reduce;
    if (name == "allgather") return all_gather;
    if (name == "reducescatter") return reduce_scatter;
    if (name == "alltoall") return all_to_all;
    if (name == "broadcast") return broadcast;
    if (name == "reduce") return reduce;
    if (name == "gather") return gather;
    if (name == "scatter") return scatter;
    return nullptr;
}

Answer run(World& w, const Job& j) {
    Answer a;
    const Collective once = collective_named(j.collective);
    if (j.dtype != "float" || j.op != "sum") a.error = "this peer does float sums only";
    if (once == nullptr) a.error = "this peer has no " + j.collective;
    if (!a.error.empty()) return a;
    fill(w.floats, j, w.context->rank, w.context->size);
    w.reduce_scatter.reset();
    once(w, j);
    if (j.check) a.wrong = count_wrong(w.floats, j, w.context->rank, w.context->size);
    for (std::uint32_t i = 0; i < j.warmup; ++i) once(w, j);
    const double before = weft::tools::cpu_seconds();
    for (std::uint32_t i = 0; i < j.iterations; ++i) {
        const Clock::time_point start = Clock::now();
        once(w, j);
        a.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    a.cpu_seconds = weft::tools::cpu_seconds() - before;
    a.plan = "its own choice";
    return a;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: weft-peer-gloo RANK RANKS DIRECTORY\n";
        return 2;
    }
    try {
        World world = join(std::stoi(argv[1]), std::stoi(argv[2]), argv[3]);
        std::cout << "ready" << std::endl;
        for (std::string line; std::getline(std::cin, line);) {
            const auto job = weft::tools::parse_job(line);
            Answer answer;
            if (job)
                answer = run(world, *job);
            else
                answer.error = "not a job: " + line;
            std::cout << to_line(answer) << std::endl;
        }
    } catch (const std::exception& e) {
        std::cout << "error " << e.what() << std::endl;
        return 1;
    }
    return 0;
}
