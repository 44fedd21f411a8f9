// What an engine shows of itself to whoever looks from outside (weft doctor).
#include <algorithm>
#include <fmt/format.h>

#include "collectives/runtime/communicator.hpp"
#include "collectives/runtime/engine.hpp"
#include "collectives/runtime/executor.hpp"

namespace weft::live {

namespace {

constexpr int kTries = 32;

std::string what_is_waited_for(const Executor& executor) {
    const LiveError e = executor.no_progress({});
    std::string text = executor.waits_for();
    if (e.peer >= 0) text += fmt::format(", rank {}", e.peer);
    if (e.step >= 0) text += fmt::format(", step {}", e.step);
    if (e.lane >= 0) text += fmt::format(", lane {}", e.lane);
    return text;
}

}  // namespace

std::optional<EngineView> Engine::view() {
    // Whoever moves operations makes way, between two rounds, for those that want the lock.
    callers_.fetch_add(1, std::memory_order_relaxed);
    Lock lock(mutex_, std::try_to_lock);
    for (int i = 0; i < kTries && !lock; ++i) {
        std::this_thread::yield();
        (void)lock.try_lock();
    }
    callers_.fetch_sub(1, std::memory_order_relaxed);
    if (!lock) return std::nullopt;
    const auto now = Clock::now();
    EngineView out;
    out.attended = led_ || background_.joinable();
    for (const auto& team : teams_) {
        Communicator& c = *team->communicator;
        if (&c.whole() != &c && team->queue.empty()) continue;  // of parts there may be many
        EngineView::Group g{.context = c.context(), .members = c.members()};
        if (c.broken_) g.broken = to_string(*c.broken_);
        if (!team->queue.empty() && team->queue.front()->executor_) {
            const Pending& p = *team->queue.front();
            g.operation = p.executor_->head().operation;
            if (!p.moved_) g.still_s = std::chrono::duration<double>(now - p.still_since_).count();
            g.waits_for = what_is_waited_for(*p.executor_);
        }
        out.groups.push_back(std::move(g));
    }
    for (const auto& [peer, chooser] : lanes_) {
        const std::span<const Lane> lanes = endpoint_.lanes(peer);
        double best = 0;
        for (std::uint32_t l = 0; l < lanes.size(); ++l) best = std::max(best, chooser.rate(l));
        for (std::uint32_t l = 0; l < lanes.size(); ++l)
            if (!chooser.alive(l) || chooser.slow(l))
                out.lanes.push_back({.peer = peer,
                                     .lane = l,
                                     .way = lanes[l],
                                     .up = chooser.alive(l),
                                     .rate = chooser.rate(l),
                                     .best = best});
    }
    return out;
}

}  // namespace weft::live
