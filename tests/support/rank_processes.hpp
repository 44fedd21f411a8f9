#pragma once
// For tests: ranks as processes, forked from the test, which meet in a directory.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "collectives/transport/shm/shared_heap.hpp"
#include "collectives/transport/shm/shm.hpp"

namespace weft::tests {

inline live::Clock::time_point soon() {
    return live::Clock::now() + std::chrono::seconds(20);
}

inline void require(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what);
}

/// A directory that ranks meet in, removed afterwards.
class MeetingDirectory {
  public:
    MeetingDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-shm-XXXXXX").string();
        require(::mkdtemp(name.data()) != nullptr, "mkdtemp");
        path_ = name;
    }
    ~MeetingDirectory() { std::filesystem::remove_all(path_); }
    MeetingDirectory(const MeetingDirectory&) = delete;
    MeetingDirectory& operator=(const MeetingDirectory&) = delete;
    [[nodiscard]] live::UniqueId id() const {
        return live::unique_id_in_directory(path_.string()).value();
    }

  private:
    std::filesystem::path path_;
};

/// One rank: control and endpoint, met with all others.
struct Rank {
    Rank(const live::UniqueId& id, std::uint32_t rank, std::uint32_t ranks,
         live::ShmOptions options = {}) {
        options.heap = &heap;
        auto started = live::NetControl::start(id, {.rank = rank, .ranks = ranks});
        require(started.ok(), "control");
        control = std::move(started.value());
        auto made = live::make_shm_endpoint(*control, options);
        require(made.ok(), "endpoint");
        endpoint = std::move(made.value());
        const Status met = control->meet(soon());
        require(met.ok(), met.ok() ? "" : to_string(met.error()));
    }
    ~Rank() {
        if (control) control->leave();
    }
    Rank(const Rank&) = delete;
    Rank& operator=(const Rank&) = delete;
    void connect(std::uint32_t peer) const {
        const Status s = endpoint->connect(peer, soon());
        require(s.ok(), s.ok() ? "" : to_string(s.error()));
    }
    /// The next completion; throws at a fault or after a long time.
    live::Completion next() const {
        const live::Clock::time_point until = soon();
        while (true) {
            std::array<live::Completion, 1> one;
            if (endpoint->poll(one) == 1) return one[0];
            if (const auto f = endpoint->fault()) throw std::runtime_error("fault: " + f->what);
            require(live::Clock::now() < until, "no completion came");
            live::sleep_until(*endpoint, until);
        }
    }
    live::SharedHeap heap;
    std::unique_ptr<live::NetControl> control;
    std::unique_ptr<live::ShmEndpoint> endpoint;
};

/// Runs body(rank) in a process each; returns their wait statuses. A body that throws says why.
inline std::vector<int> run_processes(std::uint32_t ranks,
                                      const std::function<void(std::uint32_t)>& body) {
    std::fflush(nullptr);
    std::vector<pid_t> children;
    for (std::uint32_t r = 0; r < ranks; ++r) {
        const pid_t child = ::fork();
        require(child >= 0, "fork");
        if (child == 0) {
            int code = 0;
            try {
                body(r);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "rank %u: %s\n", r, e.what());
                code = 1;
            }
            ::_exit(code);
        }
        children.push_back(child);
    }
    std::vector<int> statuses(ranks, -1);
    for (std::uint32_t r = 0; r < ranks; ++r) ::waitpid(children[r], &statuses[r], 0);
    return statuses;
}

}  // namespace weft::tests
