#include "collectives/transport/rank_threads.hpp"

#include <exception>
#include <sched.h>
#include <thread>
#include <vector>

namespace weft::live {

void pin_to_core(std::uint32_t index) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    std::uint32_t seen = 0;
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, &allowed) || seen++ != index) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

void run_ranks(std::uint32_t ranks, const std::function<void(std::uint32_t)>& body,
               const RankThreadOptions& options) {
    const bool pin = options.pin && ranks <= std::thread::hardware_concurrency();
    std::vector<std::exception_ptr> failures(ranks);
    std::vector<std::thread> threads;
    threads.reserve(ranks);
    for (std::uint32_t r = 0; r < ranks; ++r)
        threads.emplace_back([&, r] {
            if (pin) pin_to_core(r);
            try {
                body(r);
            } catch (...) {
                failures[r] = std::current_exception();
            }
        });
    for (std::thread& t : threads) t.join();
    for (const std::exception_ptr& e : failures)
        if (e) std::rethrow_exception(e);
}

}  // namespace weft::live
