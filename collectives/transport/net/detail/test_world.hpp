#pragma once
// For tests: a world whose ranks are NetControls of one process, over loopback.
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "collectives/transport/net/net_control.hpp"

namespace weft::live::net {

/// Polls until `done`, for at most 20 s: tests run on busy machines.
inline bool eventually(const std::function<bool()>& done,
                       std::chrono::milliseconds most = std::chrono::seconds(20)) {
    const auto until = Clock::now() + most;
    while (!done()) {
        if (Clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

struct TestWorld {
    using Tweak = std::function<void(NetOptions&)>;

    /// Starts the ranks, and meets. What went wrong is in errors[rank].
    explicit TestWorld(std::uint32_t n, const Tweak& tweak = {},
                       std::chrono::milliseconds patience = std::chrono::seconds(20))
        : store(std::move(StoreServer::start({}).value())), ranks(n), errors(n) {
        for (std::uint32_t r = 0; r < n; ++r) {
            NetOptions options{.rank = r, .ranks = n};
            if (tweak) tweak(options);
            auto started = NetControl::start(store->id(), options);
            if (started)
                ranks[r] = std::move(started.value());
            else
                errors[r] = to_string(started.error());
            members.push_back(r);
        }
        const auto deadline = Clock::now() + patience;
        std::vector<std::thread> threads;
        for (std::uint32_t r = 0; r < n; ++r) {
            threads.emplace_back([this, r, deadline] {
                if (!ranks[r]) return;
                const auto met = ranks[r]->meet(deadline);
                if (!met) errors[r] = to_string(met.error());
            });
        }
        for (std::thread& t : threads) t.join();
    }
    /// All in order, so that nobody is taken for dead.
    ~TestWorld() {
        for (auto& r : ranks)
            if (r) r->leave();
    }
    TestWorld(const TestWorld&) = delete;
    TestWorld& operator=(const TestWorld&) = delete;

    [[nodiscard]] bool met() const {
        for (const std::string& e : errors)
            if (!e.empty()) return false;
        return true;
    }
    NetControl& operator[](std::uint32_t r) { return *ranks[r]; }
    [[nodiscard]] std::optional<Alarm> alarm(std::uint32_t r, ContextId context = 0) const {
        return ranks[r]->alarm(context, members);
    }
    /// Whether every rank that is there has an alarm of that kind about `rank`.
    [[nodiscard]] bool all_know(Alarm::Kind kind, std::uint32_t rank, ContextId context = 0) const {
        for (std::uint32_t r = 0; r < ranks.size(); ++r) {
            if (!ranks[r] || r == rank) continue;
            const auto a = alarm(r, context);
            if (!a || a->kind != kind || a->rank != rank) return false;
        }
        return true;
    }
    /// What rank r knows of an absent member in the end: asks until somebody shows.
    [[nodiscard]] std::optional<Absent> absent(std::uint32_t r, const OperationHead& head,
                                               std::uint32_t about, Absent::Why why) {
        std::optional<Absent> out;
        eventually([&] {
            ranks[r]->inquire(head, members);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            for (const Absent& a : ranks[r]->absent(head, members))
                if (a.rank == about) out = a;
            return out && out->why == why;
        });
        return out;
    }

    std::unique_ptr<StoreServer> store;
    std::vector<std::unique_ptr<NetControl>> ranks;
    std::vector<std::string> errors;
    std::vector<std::uint32_t> members;
};

}  // namespace weft::live::net
