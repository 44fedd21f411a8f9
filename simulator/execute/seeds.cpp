#include "simulator/execute/seeds.hpp"

#include <atomic>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <thread>

namespace weft {
namespace {

class Runs {
  public:
    Runs(const Scenario& s, std::uint32_t count, const ProgressSink& progress)
        : s_(s), progress_(progress), runs_(count) {}

    std::vector<SeedRun> with(unsigned threads) {
        std::vector<std::thread> others;
        for (unsigned t = 1; t < threads; ++t) others.emplace_back([this] { work(); });
        work();
        for (std::thread& t : others) t.join();
        if (fault_) std::rethrow_exception(fault_);
        return std::move(runs_);
    }

  private:
    /// Takes runs in order until none is left or one has failed; what is taken is run.
    void work() {
        while (!failed_) {
            const std::size_t i = next_++;
            if (i >= runs_.size()) return;
            try {
                runs_[i] = run(s_.seed + i);
                report();
            } catch (...) {
                const std::lock_guard<std::mutex> lock(mutex_);
                // Of several faults the first seed's, whoever is first to fail.
                if (!fault_ || i < fault_at_) {
                    fault_ = std::current_exception();
                    fault_at_ = i;
                }
                failed_ = true;
            }
        }
    }
    [[nodiscard]] SeedRun run(std::uint64_t seed) const {
        Scenario mine = s_;
        mine.seed = seed;
        const Result r = simulate(mine);
        return {.seed = seed,
                .step_time = r.step_time,
                .slowest_rank = r.slowest_rank,
                .compute = r.compute,
                .typical = r.typical_rank};
    }
    void report() {
        const std::lock_guard<std::mutex> lock(mutex_);
        ++done_;
        if (progress_)
            progress_(static_cast<double>(done_) / static_cast<double>(runs_.size()),
                      fmt::format("{} of {} seeds", done_, runs_.size()));
    }

    const Scenario& s_;
    const ProgressSink& progress_;
    std::vector<SeedRun> runs_;
    std::atomic<std::size_t> next_{0};
    std::atomic<bool> failed_{false};
    std::mutex mutex_;
    std::size_t done_ = 0;
    std::size_t fault_at_ = 0;
    std::exception_ptr fault_;
};

}  // namespace

std::vector<SeedRun> simulate_seeds(const Scenario& s, std::uint32_t count, unsigned threads,
                                    const ProgressSink& progress) {
    return Runs(s, count, progress).with(threads);
}

}  // namespace weft
