// Ranks as threads of this process, over a transport that can do that.
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <vector>

#include "collectives/algorithms/algorithm.hpp"
#include "collectives/runtime/communicator.hpp"
#include "collectives/transport/fault/fault.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "collectives/transport/transport.hpp"
#include "tools/bench/runner.hpp"
#include "tools/bench_data.hpp"

namespace weft::tools {

namespace {

/// The world, a plan per rank, and a communicator per rank, for one run of the tool.
class Threads final : public Runner {
  public:
    Threads(const BenchConfig& config, PlanTemplate plan);
    [[nodiscard]] Answer run(const Job& job) override;
    [[nodiscard]] std::string name() const override {
        return fmt::format("ranks as threads, transport {}, algorithm {}, {} channel{}",
                           config_.transport, plan_.algorithm, plan_.channels.size(),
                           plan_.channels.size() == 1 ? "" : "s");
    }

  private:
    using Memory = std::unique_ptr<std::byte[]>;
    struct Rank {
        live::Member member;
        std::unique_ptr<live::Engine> engine;
        std::unique_ptr<live::Communicator> communicator;
        std::unique_ptr<live::PreparedPlan> plan;
        Memory input;
        Memory output;
        std::size_t input_bytes = 0;
        std::size_t output_bytes = 0;
        std::vector<double> seconds;  // of each timed iteration
        std::uint64_t wrong = 0;
        std::optional<LiveError> error;
    };
    void run_rank(std::uint32_t r, const Job& job);
    [[nodiscard]] live::UserBuffers buffers_of(Rank& rank, std::uint32_t r, const BenchCase& c,
                                               bool in_place);
    void fail_if_any_failed() const;

    BenchConfig config_;
    PlanTemplate plan_;
    live::DataType dtype_;
    live::ReduceOp op_;
    std::unique_ptr<live::Transport> transport_;
    std::vector<Rank> ranks_;
};

std::unique_ptr<live::Transport> transport_of(const BenchConfig& c) {
    auto made = live::transport_named(c.transport).make({.ranks = c.ranks, .planes = c.planes});
    if (c.fault.empty()) return made;
    return live::with_faults(std::move(made), live::parse_fault_plan(c.fault));
}

Threads::Threads(const BenchConfig& config, PlanTemplate plan)
    : config_(config),
      plan_(std::move(plan)),
      dtype_(live::parse_data_type(config.dtype)),
      op_(live::parse_reduce_op(config.op)),
      transport_(transport_of(config)),
      ranks_(config.ranks) {
    const auto deadline = live::Clock::now() + std::chrono::seconds(30);
    live::run_ranks(config.ranks, [&](std::uint32_t r) {
        Rank& rank = ranks_[r];
        auto member = transport_->open(r, deadline);
        if (!member) throw BenchFailed(to_string(member.error()));
        rank.member = std::move(member.value());
        rank.engine = std::make_unique<live::Engine>(
            *rank.member.control, *rank.member.endpoint,
            live::EngineOptions{.background = !config.fault.empty()});
        rank.communicator = std::make_unique<live::Communicator>(*rank.engine);
        rank.plan = std::make_unique<live::PreparedPlan>(plan_, r);
    });
}

live::UserBuffers Threads::buffers_of(Rank& rank, std::uint32_t r, const BenchCase& c,
                                      bool in_place) {
    const std::size_t size = live::size_of(c.dtype);
    const auto grow = [](Memory& memory, std::size_t& have, std::size_t need) {
        if (have >= need && memory) return;
        memory = std::make_unique<std::byte[]>(std::max<std::size_t>(need, 1));
        have = need;
    };
    // In place, one buffer serves as both; the larger of the two has room for either.
    const std::uint64_t larger =
        std::max(elements_of(c, Buffer::kInput, r), elements_of(c, Buffer::kOutput, r));
    grow(rank.input, rank.input_bytes, larger * size);
    if (!in_place) {
        grow(rank.output, rank.output_bytes, larger * size);
        return {rank.input.get(), rank.output.get()};
    }
    std::byte* base = rank.input.get();
    return {base + own_offset(c, Buffer::kInput, r), base + own_offset(c, Buffer::kOutput, r)};
}

void Threads::run_rank(std::uint32_t r, const Job& job) {
    Rank& rank = ranks_[r];
    const BenchCase c{.plan = &plan_, .count = job.count, .dtype = dtype_, .op = op_};
    const live::UserBuffers buffers = buffers_of(rank, r, c, job.in_place);
    const live::Call call{.buffers = buffers, .count = c.count, .dtype = c.dtype, .op = c.op};
    const auto once = [&] {
        const Status s = rank.communicator->run(*rank.plan, call);
        if (!s) rank.error = s.error();
        return s.ok();
    };
    rank.seconds.clear();
    rank.wrong = 0;
    fill_input(c, r, const_cast<void*>(buffers.input));
    if (!once()) return;
    if (job.check) rank.wrong = count_wrong(c, r, buffers.output);
    for (std::uint32_t i = 0; i < job.warmup; ++i)
        if (!once()) return;
    for (std::uint32_t i = 0; i < job.iterations; ++i) {
        const auto start = live::Clock::now();
        if (!once()) return;
        rank.seconds.push_back(std::chrono::duration<double>(live::Clock::now() - start).count());
    }
}

void Threads::fail_if_any_failed() const {
    // Most ranks only say that another one gave up; that one knows more.
    const LiveError* best = nullptr;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
        const auto& e = ranks_[r].error;
        if (e && (best == nullptr || e->what.find("gave up") == std::string::npos)) best = &*e;
    }
    if (best != nullptr) throw BenchFailed(to_string(*best));
}

Answer Threads::run(const Job& job) {
    live::run_ranks(config_.ranks, [&](std::uint32_t r) { run_rank(r, job); }, {.pin = true});
    fail_if_any_failed();
    Answer all;
    all.plan = plan_.algorithm;
    all.seconds.resize(job.iterations);
    for (const Rank& rank : ranks_) {
        for (std::size_t i = 0; i < all.seconds.size(); ++i)
            all.seconds[i] = std::max(all.seconds[i], rank.seconds[i]);
        all.wrong += rank.wrong;
    }
    return all;
}

}  // namespace

std::unique_ptr<Runner> run_on_threads(const BenchConfig& config, const PlanTemplate& plan) {
    return std::make_unique<Threads>(config, plan);
}

}  // namespace weft::tools
