#include "tools/live_validate/namespaces.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::tools {

namespace {

constexpr int kPatienceMs = 30'000;

}  // namespace

NamespaceFabric::NamespaceFabric(std::string name, std::uint32_t hosts, std::uint32_t mbit) {
    if (::geteuid() != 0)
        throw std::runtime_error("network namespaces need root: run as root, or on real hosts");
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0)
        throw std::runtime_error(fmt::format("pipe: {}", std::strerror(errno)));
    const std::string script(embedded_fabric_script().front().text);
    const std::string number = std::to_string(hosts);
    const std::string rate = std::to_string(mbit);
    holder_ = ::fork();
    if (holder_ == 0) {
        ::setsid();  // what interrupts this program does not interrupt the taking down
        ::dup2(to[0], STDIN_FILENO);
        ::dup2(from[1], STDOUT_FILENO);
        ::execlp("bash", "bash", "-c", script.c_str(), "fabric.sh", name.c_str(), "hold",
                 number.c_str(), rate.c_str(), nullptr);
        const std::string why = fmt::format("cannot run bash: {}\n", std::strerror(errno));
        [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, why.data(), why.size());
        ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
    const std::string said = holder_ < 0 ? std::string(std::strerror(errno)) : first_line();
    if (said == "ready") return;
    end();
    throw std::runtime_error("no network namespaces here: " + said);
}

NamespaceFabric::~NamespaceFabric() {
    end();
}

std::string NamespaceFabric::first_line() {
    std::string line;
    while (line.find('\n') == line.npos) {
        pollfd waiting{.fd = from_, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, kPatienceMs) <= 0) return "no answer from ip and tc";
        std::array<char, 4096> some;
        const ssize_t n = ::read(from_, some.data(), some.size());
        if (n <= 0) return line.empty() ? "bash, ip or tc ended without a word" : line;
        line.append(some.data(), static_cast<std::size_t>(n));
    }
    return line.substr(0, line.find('\n'));
}

void NamespaceFabric::end() {
    ::close(to_);
    if (holder_ > 0) (void)::waitpid(holder_, nullptr, 0);
    ::close(from_);
    holder_ = -1;
}

}  // namespace weft::tools
