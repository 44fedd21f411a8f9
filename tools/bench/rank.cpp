// weft bench-rank: one rank of a live measurement, told what to do on standard input (job.hpp).
// Started by `weft bench`; hidden from the help, of use to whoever starts ranks by other means.
#include <cstdio>
#include <fmt/format.h>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "base/units.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "collectives/api/comm.hpp"
#include "collectives/runtime/kernels.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "tools/bench/job.hpp"
#include "tools/bench_data.hpp"
#include "tools/commands.hpp"
#include "tools/peers/floats.hpp"

namespace weft::tools {

namespace {

struct Options {
    std::string id;
    std::uint32_t rank = 0;
    std::uint32_t ranks = 1;
    bool pin = false;
    live::WorldOptions world = live::WorldOptions{};
};

/// Memory that grows and is kept, as a training job's buffers are.
struct Buffers {
    std::vector<std::byte> input;
    std::vector<std::byte> output;
};

class Worker {
  public:
    explicit Worker(live::Comm& comm) : comm_(comm) {}
    [[nodiscard]] Answer run(const Job& job);

  private:
    [[nodiscard]] live::CollectiveCall prepare(const Job& job, const BenchCase& c);
    [[nodiscard]] Answer copy(const Job& job);
    live::Comm& comm_;
    Buffers buffers_;
};

live::CollectiveCall Worker::prepare(const Job& job, const BenchCase& c) {
    const std::size_t size = live::size_of(c.dtype);
    const std::uint32_t r = comm_.rank();
    const std::size_t larger =
        size * std::max(elements_of(c, Buffer::kInput, r), elements_of(c, Buffer::kOutput, r));
    if (buffers_.input.size() < larger) buffers_.input.resize(larger);
    if (!job.in_place && buffers_.output.size() < larger) buffers_.output.resize(larger);
    std::byte* in = buffers_.input.data();
    std::byte* out = job.in_place ? in : buffers_.output.data();
    if (job.in_place) in += own_offset(c, Buffer::kInput, r);
    if (job.in_place) out += own_offset(c, Buffer::kOutput, r);
    return {.collective = c.plan->collective,
            .input = in,
            .output = out,
            .count = c.count,
            .dtype = c.dtype,
            .op = c.op,
            .root = job.root};
}

/// The roofline: all ranks copy at the same time, past the caches, what a collective must at least
/// read and write.
Answer Worker::copy(const Job& job) {
    Answer answer;
    const std::size_t bytes = job.count * sizeof(float);
    if (buffers_.input.size() < bytes) buffers_.input.resize(bytes);
    if (buffers_.output.size() < bytes) buffers_.output.resize(bytes);
    for (std::uint32_t i = 0; i < job.warmup + job.iterations; ++i) {
        Status s = comm_.barrier();
        const auto start = live::Clock::now();
        live::copy_past(buffers_.input.data(), buffers_.output.data(), bytes);
        // Where ranks are more than cores, the first to begin waits for the last to end.
        if (s) s = comm_.barrier();
        const std::chrono::duration<double> took = live::Clock::now() - start;
        if (i >= job.warmup) answer.seconds.push_back(took.count());
        if (s) continue;
        answer.error = to_string(s.error());
        return answer;
    }
    answer.plan = "copy";
    return answer;
}

Answer Worker::run(const Job& job) {
    if (job.collective == kCopy) return copy(job);
    Answer answer;
    AlgorithmParams params;
    params.root = job.root;
    const PlanTemplate shape = build_plan(parse_collective(job.collective), "",
                                          {.n = comm_.ranks(), .uniform = false}, params);
    const BenchCase c{.plan = &shape,
                      .count = job.count,
                      .dtype = live::parse_data_type(job.dtype),
                      .op = live::parse_reduce_op(job.op)};
    const live::CollectiveCall call = prepare(job, c);
    const auto once = [&] {
        const Status s = comm_.run(call);
        if (!s) answer.error = to_string(s.error());
        return s.ok();
    };
    fill_input(c, comm_.rank(), const_cast<void*>(call.input));
    if (!once()) return answer;
    if (job.check) answer.wrong = count_wrong(c, comm_.rank(), call.output);
    for (std::uint32_t i = 0; i < job.warmup; ++i)
        if (!once()) return answer;
    const double before = cpu_seconds();
    for (std::uint32_t i = 0; i < job.iterations; ++i) {
        const auto start = live::Clock::now();
        if (!once()) return answer;
        answer.seconds.push_back(std::chrono::duration<double>(live::Clock::now() - start).count());
    }
    answer.cpu_seconds = cpu_seconds() - before;
    const live::OperationRecord decided = comm_.explain(call);
    answer.plan = decided.plan + ": " + decided.why;
    answer.plan_hash = decided.plan_hash;
    return answer;
}

void say(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

int serve(const Options& o) {
    // Ranks that wander share a core for whole ticks.
    if (o.pin) live::pin_to_core(o.rank);
    auto world = live::World::join(live::parse_unique_id(o.id), o.rank, o.ranks, o.world);
    if (!world) {
        say("error " + to_string(world.error()));
        return 1;
    }
    live::Comm comm(world.value());
    Worker worker(comm);
    say("ready");
    for (std::string line; std::getline(std::cin, line);) {
        const std::optional<Job> job = parse_job(line);
        if (!job) {
            say("error not a job: " + printable(line));
            continue;
        }
        Answer answer;
        try {
            answer = worker.run(*job);
        } catch (const ConfigError& e) {
            answer.error = e.what();
        }
        say(to_line(answer));
    }
    return 0;
}

}  // namespace

void add_bench_rank(CLI::App& app, std::function<int()>& run) {
    auto o = std::make_shared<Options>();
    o->world = live::world_options_from_environment();
    CLI::App* cmd = app.add_subcommand("bench-rank", "One rank of `weft bench`.");
    cmd->group("");
    cmd->add_option("--id", o->id, "of the world, as text")->required();
    cmd->add_option("--rank", o->rank)->required();
    cmd->add_option("--ranks", o->ranks)->required();
    cmd->add_flag("--pin", o->pin, "to the core of the rank's number");
    cmd->add_option("--transport", o->world.transport);
    cmd->add_option("--interfaces", o->world.interfaces);
    cmd->add_option("--algorithm", o->world.algorithm);
    cmd->add_option("--fault", o->world.fault);
    cmd->add_option("--host", o->world.host);
    cmd->callback([o, &run] { run = [o] { return serve(*o); }; });
}

}  // namespace weft::tools
