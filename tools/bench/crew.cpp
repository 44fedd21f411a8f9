#include "tools/bench/crew.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace weft::tools {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

std::string fate_of(pid_t pid) {
    int status = 0;
    for (int i = 0; i < 100; ++i) {
        if (::waitpid(pid, &status, WNOHANG) == pid) {
            if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
            return fmt::format("ended with status {}", WEXITSTATUS(status));
        }
        std::this_thread::sleep_for(10ms);
    }
    return "closed its output";
}

}  // namespace

Crew::Crew(std::string name, const std::vector<CommandLine>& members, std::chrono::seconds patience)
    : name_(std::move(name)), patience_(patience) {
    std::signal(SIGPIPE, SIG_IGN);  // a member that has died is noticed when it is read
    try {
        for (const CommandLine& command : members) spawn(command);
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (const std::string line = read_line(i); line != "ready")
                throw std::runtime_error(fmt::format("{}, process {}: {}", name_, i, line));
    } catch (...) {
        dismiss();
        throw;
    }
}

Crew::~Crew() {
    dismiss();
}

void Crew::spawn(const CommandLine& command) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0)
        throw std::runtime_error(fmt::format("pipe: {}", std::strerror(errno)));
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
        // Ends with this process, however that ends.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        ::dup2(to[0], STDIN_FILENO);
        ::dup2(from[1], STDOUT_FILENO);
        ::execvp(arguments[0], arguments.data());
        const std::string why =
            fmt::format("error cannot run {}: {}\n", command[0], std::strerror(errno));
        [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, why.data(), why.size());
        ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    members_.push_back({.pid = pid, .to = to[1], .from = from[0], .heard = {}});
    if (pid < 0) throw std::runtime_error(fmt::format("fork: {}", std::strerror(errno)));
}

std::string Crew::read_line(std::size_t member) {
    Member& m = members_[member];
    const Clock::time_point until = Clock::now() + patience_;
    while (true) {
        if (const std::size_t end = m.heard.find('\n'); end != std::string::npos) {
            const std::string line = m.heard.substr(0, end);
            m.heard.erase(0, end + 1);
            return line;
        }
        pollfd waiting{.fd = m.from, .events = POLLIN, .revents = 0};
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return fmt::format("error no answer within {} s", patience_.count());
        if (::poll(&waiting, 1, static_cast<int>(left)) <= 0) continue;
        std::array<char, 65536> some;
        const ssize_t n = ::read(m.from, some.data(), some.size());
        if (n <= 0) {
            const std::string fate = fate_of(m.pid);
            m.pid = -1;
            return "error " + fate;
        }
        m.heard.append(some.data(), static_cast<std::size_t>(n));
    }
}

Answer Crew::run(const Job& job) {
    const std::string line = to_line(job) + "\n";
    for (const Member& m : members_) {
        // A member that is gone shows when it is read.
        [[maybe_unused]] const auto written = ::write(m.to, line.data(), line.size());
    }
    Answer all;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        const std::string said = read_line(i);
        std::optional<Answer> one = parse_answer(said);
        if (!one) one = Answer{.error = fmt::format("{}, process {}: {}", name_, i, said)};
        // Most only say that another one gave up; that one knows more.
        const bool better = all.error.empty() || all.error.find("gave up") != std::string::npos;
        if (!one->error.empty() && better) all.error = one->error;
        all.cpu_seconds += one->cpu_seconds;
        all.wrong += one->wrong;
        if (all.plan.empty()) {
            all.plan = one->plan;
            all.plan_hash = one->plan_hash;
        }
        all.seconds.resize(std::max(all.seconds.size(), one->seconds.size()));
        for (std::size_t k = 0; k < one->seconds.size(); ++k)
            all.seconds[k] = std::max(all.seconds[k], one->seconds[k]);
    }
    return all;
}

void Crew::dismiss() {
    for (const Member& m : members_) {
        ::close(m.to);
        ::close(m.from);
    }
    const Clock::time_point until = Clock::now() + 5s;
    for (Member& m : members_) {
        while (m.pid > 0 && ::waitpid(m.pid, nullptr, WNOHANG) == 0) {
            if (Clock::now() > until) ::kill(m.pid, SIGKILL);
            std::this_thread::sleep_for(2ms);
        }
        m.pid = -1;
    }
}

}  // namespace weft::tools
