#include "tools/reproduce/study.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <thread>

#include "base/check.hpp"

namespace weft::tools {
namespace {

double one_step(const Trial& trial, std::uint64_t seed) {
    Scenario s;
    s.fabric = trial.fabric;
    s.workload = trial.workload;
    s.placement = trial.segments > 1
                      ? segments_placement(*trial.fabric, trial.workload->world, trial.segments)
                      : packed_placement(*trial.fabric, trial.workload->world);
    s.library = trial.library;
    s.endpoint = trial.endpoint;
    s.failures = trial.failures;
    s.hash_seeds = trial.hash_seeds;
    s.seed = seed;
    return static_cast<double>(simulate(s).step_time.ps());
}

}  // namespace

Spread spread(std::vector<double> values) {
    WEFT_CHECK(!values.empty(), "no values to summarise");
    std::sort(values.begin(), values.end());
    const auto at = [&](std::size_t percent) {
        return values[std::min(values.size() - 1, values.size() * percent / 100)];
    };
    return {.median = at(50), .low = at(5), .high = at(95)};
}

std::vector<double> step_times(const Trial& trial, std::uint32_t seeds, unsigned threads) {
    std::vector<double> times(seeds);
    std::atomic<std::uint32_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_lock;
    const auto work = [&] {
        try {
            for (std::uint32_t k = next++; k < seeds; k = next++) times[k] = one_step(trial, k + 1);
        } catch (...) {
            const std::lock_guard lock{failure_lock};
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> helpers;
    for (unsigned t = 1; t < threads; ++t) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);
    return times;
}

std::vector<double> gains(const std::vector<double>& slow, const std::vector<double>& fast) {
    WEFT_CHECK(slow.size() == fast.size(), "{} and {} seeds", slow.size(), fast.size());
    std::vector<double> out(slow.size());
    for (std::size_t k = 0; k < out.size(); ++k) out[k] = slow[k] / fast[k] - 1.0;
    return out;
}

std::string percent(const Spread& s) {
    return fmt::format("{:+.1f} % [{:+.1f}, {:+.1f}]", 100 * s.median, 100 * s.low, 100 * s.high);
}

}  // namespace weft::tools
