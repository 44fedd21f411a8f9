#include "tools/discover/gather.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "collectives/transport/net/card.hpp"
#include "collectives/transport/net/ports.hpp"
#include "collectives/transport/net/world.hpp"
#include "tools/launch/launch.hpp"

namespace weft::tools {

namespace {

pid_t start(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    pid_t pid = -1;
    if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0)
        throw std::runtime_error("cannot start " + words.front());
    return pid;
}

int exit_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/// Waits for all; the first that fails ends the others, and its status counts.
int wait_for(std::vector<pid_t> running) {
    int result = 0;
    while (!running.empty()) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (ended < 0) return 1;
        running.erase(std::remove(running.begin(), running.end(), ended), running.end());
        if (exit_status(status) == 0 || result != 0) continue;
        result = exit_status(status);
        for (const pid_t pid : running) ::kill(pid, SIGTERM);
    }
    return result;
}

}  // namespace

live::Presence this_presence(const std::string& interfaces, const std::string& word) {
    live::Presence p{
        .host = live::net::host_identity(word), .ports = {}, .machine = this_machine()};
    if (interfaces.empty()) return p;
    for (const live::Port& port : live::find_ports(interfaces))
        p.ports.push_back({.name = plain(port.interface),
                           .rail = port.rail,
                           .plane = port.plane,
                           .rate = Bandwidth{static_cast<std::int64_t>(port.bits_per_second)}});
    return p;
}

std::vector<live::Presence> meet_at(const std::string& id, std::uint32_t rank, std::uint32_t ranks,
                                    const live::Presence& mine, std::chrono::milliseconds within) {
    const auto store = live::open_store(live::parse_unique_id(id));
    if (!store) throw std::runtime_error(to_string(store.error()));
    const auto all =
        store.value()->exchange(rank, ranks, live::encode(mine), live::Clock::now() + within);
    if (!all) throw std::runtime_error(to_string(all.error()));
    std::vector<live::Presence> present;
    for (std::size_t r = 0; r < all.value().size(); ++r) {
        const auto one = live::parse_presence(all.value()[r]);
        if (!one)
            throw std::runtime_error(
                fmt::format("what rank {} says cannot be read: is it of "
                            "another version?",
                            r));
        present.push_back(*one);
    }
    return present;
}

int run_ranks(std::uint32_t ranks, const std::string& launch,
              const std::vector<std::string>& more) {
    const Scratch scratch;
    const auto id = live::unique_id_in_directory(scratch.path());
    if (!id) throw std::runtime_error(to_string(id.error()));
    std::vector<pid_t> running;
    for (std::uint32_t r = 0; r < ranks; ++r) {
        std::vector<std::string> words = launcher(launch, r);
        words.insert(words.end(), {own_program(), "discover", "--id", to_text(id.value()), "--rank",
                                   std::to_string(r), "--ranks", std::to_string(ranks)});
        words.insert(words.end(), more.begin(), more.end());
        running.push_back(start(words));
    }
    return wait_for(running);
}

}  // namespace weft::tools
